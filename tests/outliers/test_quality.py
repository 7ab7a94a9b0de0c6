"""What is said of outliers is what their distances and posteriors are, row by row."""

import math

import numpy as np
import pytest
import torch

from pipeline.latents.latents import load_id_train
from pipeline.outliers.quality import MeasuredRows, Reference, measure, posterior_by_share, spaced_rows
from pipeline.params.quality import QualityParams
from tests.helpers import oracles
from tests.helpers.make import latents_store

RNG = np.random.default_rng(0)
PARAMS = QualityParams(rows=1000, neighbours=3, boundary_share=0.2, confidence=0.8)


@pytest.fixture
def id_train(tmp_path):
    return load_id_train(latents_store(tmp_path / "id"))


@pytest.fixture
def reference(id_train):
    return Reference(id_train, PARAMS, torch.device("cpu"))


def rows(values, classes=None, seeds=2, sharpness=4.0):
    if classes is None:
        classes = np.stack([np.arange(len(values)) % 3] * 2, axis=1)
    posteriors = torch.tensor(RNG.standard_normal((seeds, len(values), 3)) * sharpness).softmax(2).numpy()
    return MeasuredRows(values.flatten(1), classes, np.linspace(0.2, 0.8, len(values)), posteriors)


def banks(id_train):
    values = id_train.values.flatten(1)
    return [values[torch.from_numpy(id_train.labels == label)].tolist() for label in range(3)]


def reach_by_loops(id_train, row):
    found = []
    for bank in banks(id_train):
        own = sorted(oracles.kth_distance(one, bank, 4) for one in bank)
        found.append(oracles.kth_distance(row, bank, 3) / own[-6])  # a fifth of 30
    return found


def test_reach_is_the_distance_to_each_class_in_its_radii(id_train, reference):
    values = torch.tensor(2 * RNG.standard_normal((5, 64))).float()
    wanted = [reach_by_loops(id_train, row) for row in values.tolist()]
    np.testing.assert_allclose(reference.reach(values), wanted, rtol=1e-4)


def test_distances_of_rows_are_what_loops_find(id_train, reference):
    made = rows(torch.tensor(3 * RNG.standard_normal((12, 4, 4, 4))).float())
    found, every = measure(made, reference), [row for bank in banks(id_train) for row in bank]
    reach = [reach_by_loops(id_train, row) for row in made.values.tolist()]
    own = [near[label] for near, label in zip(reach, made.classes[:, 0], strict=True)]
    assert found["own_class_distance"] == pytest.approx(np.median(own), rel=1e-4)
    assert found["beyond_own"] == np.mean([one > 1 for one in own])
    assert found["beyond_all"] == np.mean([min(near) > 1 for near in reach])
    nearest = [min(math.dist(row, other) for other in every) for row in made.values.tolist()]
    between = [sorted(math.dist(row, other) for other in every)[1] for row in every]
    lower = sorted(nearest)[(len(nearest) - 1) // 2], sorted(between)[(len(between) - 1) // 2]  # as torch.median
    assert found["nearest_id"] == pytest.approx(lower[0] / lower[1], rel=1e-4)


def test_diversity_is_the_mean_distance_of_two_rows_against_that_of_id_rows(id_train, reference):
    made = rows(torch.tensor(RNG.standard_normal((8, 4, 4, 4))).float())

    def spread(values):
        pairs = [math.dist(a, b) for index, a in enumerate(values) for b in values[:index]]
        return sum(pairs) / len(pairs)

    wanted = spread(made.values.tolist()) / spread(id_train.values.flatten(1).tolist())
    assert measure(made, reference)["diversity"] == pytest.approx(wanted, rel=1e-5)


def test_what_teachers_say_is_a_mean_and_a_spread_over_seeds(id_train, reference):
    made = rows(id_train.values[:40])
    found = measure(made, reference)
    entropy, confident, passes = [], [], []
    reach = [reach_by_loops(id_train, row) for row in made.values.tolist()]
    for posterior in made.posteriors.tolist():
        entropy.append(np.mean([-sum(p * math.log(p) for p in row) / math.log(3) for row in posterior]))
        confident.append(np.mean([max(row) > 0.8 for row in posterior]))
        passes.append(
            np.mean([max(p) > 0.8 and near[p.index(max(p))] <= 1 for p, near in zip(posterior, reach, strict=True)])
        )
    for name, values in (("entropy", entropy), ("confident", confident), ("passes_for_id", passes)):
        assert found[name] == {"mean": pytest.approx(np.mean(values)), "std": pytest.approx(np.std(values, ddof=1))}
    assert 0 < found["passes_for_id"]["mean"] < found["confident"]["mean"]


def test_one_teacher_has_no_spread(id_train, reference):
    assert measure(rows(id_train.values[:9], seeds=1), reference)["entropy"]["std"] is None


def test_a_certain_posterior_has_no_entropy(id_train, reference):
    found = measure(rows(id_train.values[:9], sharpness=1e5), reference)
    assert found["entropy"]["mean"] == pytest.approx(0, abs=1e-9)


def test_rows_of_no_class_have_no_distance_to_their_own(id_train, reference):
    found = measure(rows(id_train.values[:9], classes=np.full((9, 2), -1)), reference)
    assert found["own_class_distance"] is found["beyond_own"] is None
    assert found["beyond_all"] is not None


def test_a_class_that_is_one_image_many_times_gives_finite_figures(id_train):
    id_train.values[:] = id_train.values[torch.from_numpy(np.searchsorted(id_train.labels, id_train.labels))]
    found = measure(rows(id_train.values[:9] + 100), Reference(id_train, PARAMS, torch.device("cpu")))
    assert all(np.isfinite(value) for value in found.values() if isinstance(value, float))


def test_one_row_has_no_diversity(id_train, reference):
    assert measure(rows(id_train.values[:1]), reference)["diversity"] is None


def test_a_row_of_three_classes_is_measured_against_the_nearest_of_them(id_train, reference):
    values, third = id_train.values[:4], np.array([[1, 2, 0], [1, 2, -1]] * 2)  # rows of class 0
    reach = reference.reach(values.flatten(1))
    wanted = np.median([reach[row, kept].min() for row, kept in enumerate([[1, 2, 0], [1, 2]] * 2)])
    assert measure(rows(values, classes=third), reference)["own_class_distance"] == pytest.approx(wanted)


def test_copies_lie_on_id_rows(id_train, reference):
    assert measure(rows(id_train.values[:9]), reference)["nearest_id"] == pytest.approx(0, abs=1e-3)


def test_posteriors_are_averaged_by_the_share_of_the_first_class():
    classes = np.array([[0, 1], [1, 2], [2, 0], [0, 2]])
    made = rows(torch.zeros(4, 1, 1, 1), classes=classes)
    lines = posterior_by_share(made, bins=2)
    np.testing.assert_allclose(lines[:, 0], [0.35, 0.65])
    mean = made.posteriors.mean(0)
    for line, members in zip(lines, ([0, 1], [2, 3]), strict=True):
        first, second = (np.mean([mean[row, classes[row, place]] for row in members]) for place in (0, 1))
        np.testing.assert_allclose(line[1:], [first, second, 1 - first - second])


def test_rows_of_one_class_have_no_curve(id_train):
    assert posterior_by_share(rows(id_train.values[:9]), bins=3) is None


def test_rows_are_evenly_spaced():
    assert spaced_rows(10, 4).tolist() == [0, 3, 6, 9]
    assert spaced_rows(3, 4).tolist() == [0, 1, 2]
