"""Where there are no OOD images, outliers are made of ID test images, by every kind that needs no model."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.latents.latents import load_id_train, load_latents
from pipeline.outliers.method import Parents
from pipeline.outliers.rows import RowMaker
from pipeline.outliers.stand_ins.names import REPORT
from pipeline.outliers.stand_ins.synthesis import kinds, make_stand_ins
from pipeline.params.methods.stand_ins import StandInMethods
from pipeline.runtime.files import read_json
from pipeline.store.reader import Store
from tests.helpers.make import SPACE, latents_store, section, tiny_params, write_store

KINDS = ["perturb", "mixup", "shuffle", "gaussian", "mixup_spherical", "mixup_channels"]
NAMES = [f"stand_in/{kind}" for kind in KINDS]


def params(**changes):
    return section(StandInMethods, tiny_params(**changes)["synthesize"])


@pytest.fixture
def id_train():
    return load_id_train(latents_store(Path("id_train"))).header


@pytest.fixture
def id_test(id_train):
    return load_latents(latents_store(Path("id_test"), seed=5, per_class=20), id_train)


def made(id_train, id_test, work="work", **changes):
    return make_stand_ins(Path(work), id_train, id_test, params(**changes))


def rows_of(name, column):
    return Store(Path("work") / name).column(column)


def test_every_kind_that_needs_no_model_is_made_whether_trained_on_or_not(id_train, id_test):
    for methods in (["mixup"], ["label_mixup", "copies"]):
        assert list(made(id_train, id_test, synthesize__methods=methods)) == NAMES
    assert list(kinds(params(synthesize__mixup__kinds=["channels", "masked"])))[4:] == [
        "mixup_linear",
        "mixup_spherical",
    ]


def test_each_set_is_as_large_as_the_id_test_set_shows_no_class_and_is_what_its_store_holds(id_train, id_test):
    for name, found in made(id_train, id_test).items():
        np.testing.assert_array_equal(found.values, Store(Path("work") / name).latents().astype(np.float32))
        assert found.labels.tolist() == [-1] * 60
        assert len(set(found.contents.tolist())) == 60


def test_shuffled_rows_are_id_test_rows_in_another_order(id_train, id_test):
    values = made(id_train, id_test)["stand_in/shuffle"].values.numpy()
    parents, classes = (rows_of("stand_in/shuffle", name) for name in ("parent_a", "class_a"))
    for row, parent, label in zip(values, parents, classes, strict=True):
        wanted = id_test.values[parent].numpy().astype(np.float16)
        assert sorted(row.ravel()) == sorted(wanted.ravel())
        assert (row != wanted).any()
        assert id_test.labels[parent] == label


def test_mixed_rows_are_two_id_test_rows_mixed(id_train, id_test):
    values = made(id_train, id_test, synthesize__mixup__kinds=["linear"])["stand_in/mixup"].values.numpy()
    columns = {name: rows_of("stand_in/mixup", name) for name in ("parent_a", "parent_b", "lam")}
    for row in range(60):
        a, b, share = (columns[name][row] for name in ("parent_a", "parent_b", "lam"))
        wanted = share * id_test.values[a].numpy().astype(np.float64) + (1 - share) * id_test.values[b].numpy()
        np.testing.assert_allclose(values[row], wanted, atol=5e-3)
        assert id_test.labels[a] != id_test.labels[b]


def test_perturbed_rows_are_around_id_test_rows_and_as_far_from_their_class_as_is_said(id_train, id_test):
    values = made(id_train, id_test)["stand_in/perturb"].values.numpy().reshape(60, -1).astype(np.float64)
    classes, far = (rows_of("stand_in/perturb", name) for name in ("class_a", "knn_distance"))
    known = id_test.values.numpy().reshape(60, -1).astype(np.float64)
    for row in range(60):
        distances = sorted(np.linalg.norm(other - values[row]) for other in known[id_test.labels == classes[row]])
        assert far[row] == pytest.approx(distances[9], rel=1e-2)


def test_no_random_number_is_that_of_a_row_to_train_on(id_train, id_test):
    stand_ins = made(id_train, id_test)
    for name, way in kinds(params()).items():
        found = stand_ins[f"stand_in/{name}"].values.numpy()
        method = way.build(Parents(id_test, id_test.values.device))
        trained = np.empty(found.shape, np.float16)
        RowMaker(way.method, method, params().seed)(range(60), trained)
        assert (found != trained).any((1, 2, 3)).mean() > 0.9, name


def test_the_same_parameters_make_the_same_bytes_and_another_seed_others(id_train, id_test):
    first, again = (made(id_train, id_test, work) for work in ("a", "b"))
    assert [one.digest for one in first.values()] == [one.digest for one in again.values()]
    other = made(id_train, id_test, "c", synthesize__seed=9)
    assert all((other[name].values != first[name].values).any() for name in NAMES)


def test_a_store_says_what_it_was_made_of(id_train, id_test):
    made(id_train, id_test)
    told = Store(Path("work/stand_in/mixup_channels")).header.provenance
    assert (told["method"], told["method_names"], told["parents"]) == ("mixup", ["mixup/channels"], "id_test")
    assert (told["latents"], told["params"]["rows"]) == (id_test.digest, 60)


def test_a_kind_that_asks_for_more_images_than_there_are_is_left_out_and_the_reason_is_kept(id_train, id_test):
    found = made(id_train, id_test, synthesize__perturb__neighbours=20)
    assert list(found) == NAMES[1:]
    left_out = read_json(Path("work") / REPORT)["left_out"]
    assert list(left_out) == ["stand_in/perturb"]
    assert left_out["stand_in/perturb"].startswith(
        "synthesize.perturb.neighbours is 20, which wants 21 images of every class, but"
    )


def test_nothing_is_made_where_a_class_has_no_id_test_image(id_train):
    labels = np.zeros(30, np.int32)
    columns = {"label": labels, "content": np.arange(30)}
    values = np.random.default_rng(0).standard_normal((30, *SPACE.shape)).astype(np.float16)
    names = ("class 0", "class 1", "class 2")
    id_test = load_latents(write_store(Path("id_test"), values, columns, "latents", names), id_train)
    assert made(id_train, id_test) == {}
    left_out = read_json(Path("work") / REPORT)["left_out"]
    assert set(left_out.values()) == {
        "class 'class 1' has no ID test images, wanted some of each class. Add images of it."
    }
