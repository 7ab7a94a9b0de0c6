"""A store of outliers is the same bytes at any batch size, worker count and store size, and after any interruption."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.latents.latents import load_id_train
from pipeline.latents.view_rows import load_views, write_card
from pipeline.params.all_params import load_all
from pipeline.params.methods.base import NOBODY
from pipeline.params.methods.section import method_params_class
from pipeline.runtime.errors import ParamsError, PipelineError
from pipeline.store import format as layout
from pipeline.store.reader import Store
from pipeline.store.writer import StoreWriter
from stages.synthesize import synthesize
from tests.helpers.make import denoiser_of, interrupt_shard, latents_store, tiny_params, views_store, write_params

METHODS = ["perturb", "mixup", "shuffle", "label_mixup", "gaussian", "copies"]
ROWS = 1300
ID = Path("id")


@pytest.fixture(autouse=True)
def id_latents(monkeypatch):
    """Five blocks and a bit, in three shards."""
    monkeypatch.setattr(layout, "SHARD_BYTES", 512 * 128)
    latents_store(ID)


def made(method, output, workers=1, batch_rows=256, **changes):
    own = {"synthesize__methods": METHODS, f"synthesize__{method}__rows": ROWS}
    params = write_params(Path(), tiny_params(**own | changes))
    synthesize(method, ID, denoiser_of(method), Path(output), params, workers, batch_rows=batch_rows)
    return Store(Path(output))


@pytest.mark.parametrize("method", METHODS)
def test_batch_size_and_worker_count_change_no_byte(method):
    wanted = made(method, "a").digest
    for workers, batch_rows in ((2, 256), (1, 1), (3, 300), (2, 10_000)):
        assert made(method, "b", workers, batch_rows).digest == wanted, (workers, batch_rows)


@pytest.mark.parametrize("method", METHODS)
def test_the_memory_budget_changes_no_byte(method, monkeypatch):
    wanted = made(method, "a").digest
    monkeypatch.setenv("LATENT_OUTLIERS_MEMORY", "0")
    assert made(method, "b").digest == wanted


@pytest.mark.parametrize("method", METHODS)
def test_a_row_is_the_same_in_a_store_of_any_size(method):
    large, small = made(method, "a"), made(method, "b", **{f"synthesize__{method}__rows": 300})
    np.testing.assert_array_equal(large.latents()[:300], small.latents())
    for name in large.header.columns:
        np.testing.assert_array_equal(large.column(name)[:300], small.column(name))


@pytest.mark.parametrize("method", METHODS)
def test_another_seed_makes_other_rows(method):
    assert (made(method, "a").latents() != made(method, "b", synthesize__seed=1).latents()).any()


def test_a_parameter_of_another_method_changes_no_byte():
    assert made("mixup", "a").digest == made("mixup", "b", synthesize__perturb__sigma=9.0).digest


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_run_resumes_to_the_same_bytes(method, monkeypatch):
    wanted, calls = made(method, "a").digest, interrupt_shard(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        made(method, "b")
    assert not Path("b").exists()
    assert made(method, "b").digest == wanted
    assert calls == [0, 1, 1, 2]


@pytest.mark.parametrize("change", [{"synthesize__mixup__lam_min": 0.6}, {"synthesize__seed": 1}])
def test_an_interrupted_run_with_something_changed_starts_over(monkeypatch, change):
    def fail(self, **facts):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(StoreWriter, "finish", fail)
        made("mixup", "b")
    assert made("mixup", "b", **change).digest == made("mixup", "a", **change).digest


def test_rows_beyond_float16_are_refused():
    with pytest.raises(PipelineError, match="synthesize.perturb, rows 0 to 255 .*: values reach .* within float16"):
        made("perturb", "a", synthesize__perturb__sigma=1e6)


@pytest.mark.parametrize("method", METHODS)
def test_every_row_says_where_it_came_from(method):
    store, id_train = made(method, "a"), load_id_train(ID)
    assert set(store.column("seed")) == {0}
    names = store.header.provenance["method_names"]
    assert {names[code].split("/")[0] for code in store.column("method")} == {method}
    if method_params_class(Path("params.yaml"), method).has_parents:
        np.testing.assert_array_equal(id_train.labels[store.column("parent_a")], store.column("class_a"))
    else:
        assert set(store.column("parent_a")) == set(store.column("parent_b")) == {NOBODY}
    assert store.header.provenance["latents"] == id_train.digest
    assert store.header.provenance["params"]["rows"] == ROWS
    assert store.header.class_names == id_train.class_names
    assert store.header.standardisation == id_train.header.standardisation


def test_a_method_that_is_not_asked_for_is_refused():
    with pytest.raises(ParamsError, match="synthesize.methods has no 'mixup'; it has shuffle"):
        made("mixup", "a", synthesize__methods=["shuffle"])


SEEN = {"synthesize__parents": "views", "views__count": 3}
WITH_PARENTS = ["perturb", "mixup", "shuffle", "copies"]


def made_of_views(method, output, workers=1, batch_rows=256, views=Path("views"), **changes):
    if not Path("views").exists():
        views_store(Path("views"), load_id_train(ID), 3)
    own = {"synthesize__methods": METHODS, f"synthesize__{method}__rows": ROWS}
    params = write_params(Path(), tiny_params(**own | SEEN | changes))
    synthesize(method, ID, denoiser_of(method), Path(output), params, workers, batch_rows=batch_rows, views=views)
    return Store(Path(output))


@pytest.mark.parametrize("method", WITH_PARENTS)
def test_views_as_parents_are_recorded_and_the_same_at_any_batch_size_and_worker_count(method, monkeypatch):
    store = made_of_views(method, "a")
    views, id_train = load_views(Path("views"), load_id_train(ID)), load_id_train(ID)
    assert store.header.provenance["views"] == views.identity
    assert store.header.provenance["views"]["store"] == Store(Path("views/store")).digest
    assert {*store.column("view_a")} == {0, 1, 2, 3}
    assert store.header.provenance["latents"] == id_train.digest
    for workers, batch_rows in ((2, 300), (3, 10_000)):
        assert made_of_views(method, "b", workers, batch_rows).digest == store.digest
    monkeypatch.setattr(layout, "SHARD_BYTES", 1024 * 128)
    one_shard = made_of_views(method, "c")
    assert one_shard.manifest.shards < store.manifest.shards
    for name in store.header.columns:
        np.testing.assert_array_equal(one_shard.column(name), store.column(name))
    np.testing.assert_array_equal(one_shard.latents(), store.latents())


@pytest.mark.parametrize("method", METHODS)
def test_plain_parents_are_the_same_bytes_whether_or_not_there_are_views(method):
    wanted = made(method, "a").digest
    assert made_of_views(method, "b", synthesize__parents="plain").digest == wanted
    if method not in WITH_PARENTS:
        assert made_of_views(method, "c").digest == wanted


def test_parents_of_views_without_views_are_refused():
    with pytest.raises(ParamsError, match="synthesize.parents is 'views', but no folder of views was given"):
        made_of_views("shuffle", "a", views=None)
    write_card(Path("none"), 0)
    with pytest.raises(PipelineError, match="synthesize.parents is 'views', but none has none, .* Set views.count"):
        made_of_views("shuffle", "a", views=Path("none"))
    with pytest.raises(ParamsError, match="synthesize.parents is 'views', but views.count is 0: set it to 8 or so"):
        load_all(write_params(Path(), tiny_params(**SEEN | {"views__count": 0})))


def test_other_views_start_an_interrupted_run_over():
    first = made_of_views("shuffle", "a").digest
    shutil.rmtree("views")
    views_store(Path("views"), load_id_train(ID), 3, seed=5)
    assert made_of_views("shuffle", "b").digest != first
