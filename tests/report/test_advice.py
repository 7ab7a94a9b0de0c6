"""A useless run is warned of with a next step, and a good one is not."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.networks.outputs import save_outputs
from pipeline.params.quality import QUALITY_FORMAT
from pipeline.report.advice import DECISIVE, MOST_SEEDS, MOST_TIMES, WEAKER, add_advice, advice
from pipeline.runtime.files import write_json
from tests.helpers.make import latents_store, score_table
from tests.report.test_metrics_json import PARAMS, reported

ENOUGH = {"a": 200, "b": 200, "c": 200}
QUALITY = {
    "format": QUALITY_FORMAT,
    "id_validation": {"passes_for_id": {"mean": 0.8, "std": 0.0}},
    "methods": {
        "perturb": {"passes_for_id": {"mean": 0.1, "std": 0.0}},
        "copies": {"passes_for_id": {"mean": 0.9, "std": 0.0}},
    },
}


def run(shift, images=2000, seeds=(0, 1, 2), encoder="supervised", accuracy=0.9, training=0.95):
    """Return the metrics of a run whose outliers score so many deviations higher, for baseline and detector alike."""
    table = score_table({"others": shift}, gain=0.0, seeds=seeds, images=images)
    found = reported(table, {"near": ["others"], "far": []})
    found["id_accuracy"]["baseline"]["mean"] = accuracy
    return found | {"latents": {"encoder": encoder}, "training_accuracy": {"mean": training, "std": 0.0}}


def with_gain(metrics, low, high, verdict, from_seeds=0.0):
    found = copy.deepcopy(metrics)
    gain = found["groups"]["near"][PARAMS.headline]["difference"]["auroc"]
    gain |= {"mean": (low + high) / 2, "ci95": [low, high], "ci95_from_seeds": from_seeds, "verdict": verdict}
    return found


GOOD = with_gain(run(3.0), 0.01, 0.03, "better")


def test_a_good_run_gets_no_advice():
    assert advice(GOOD, QUALITY, ENOUGH, ENOUGH) == []


def test_a_detector_at_chance_is_said_to_guess_and_an_encoder_is_what_helps():
    found = run(0.1)
    auroc = 100 * found["sets"]["others"][PARAMS.headline]["detector"]["auroc"]["mean"]
    (warning,) = advice(with_gain(found, -0.01, 0.01, "undecided"), QUALITY, ENOUGH, ENOUGH)
    assert warning.startswith(f"Telling images of others (AUROC {auroc:.1f}) from known ones is close to guessing")
    assert "Next: take a pretrained backbone as encoder (docs/encoders.md)" in warning
    (other,) = advice(with_gain(run(0.1, encoder="transformers"), -0.01, 0.01, "undecided"), QUALITY, ENOUGH, ENOUGH)
    assert "Next: take a larger backbone" in other


def test_a_teacher_that_knows_its_images_by_heart_is_named_with_both_counts():
    found = GOOD | {"training_accuracy": {"mean": 0.998, "std": None}}
    found["id_accuracy"] = {"baseline": {"mean": 0.61, "std": None}, "detector": {"mean": 0.62, "std": None}}
    (warning,) = advice(found, QUALITY, ENOUGH, ENOUGH)
    assert "100 of 100 training images rightly and 61 of 100 ID test images" in warning
    assert "Next: more views (views.count)" in warning


@pytest.mark.parametrize("method", [*WEAKER, "shuffle"])
def test_outliers_that_pass_for_id_are_named_beside_what_id_images_do(method):
    quality = copy.deepcopy(QUALITY)
    quality["methods"][method] = {"passes_for_id": {"mean": 0.527, "std": 0.01}}
    (warning,) = advice(GOOD, quality, ENOUGH, ENOUGH)
    assert warning.startswith(f"53 of 100 outliers of {method} pass for ID, as 80 of 100 ID validation images do")
    assert warning.endswith(f"take {method} out of synthesize.methods.")
    assert WEAKER.get(method, "") in warning


def test_an_interval_too_wide_for_a_verdict_says_how_many_images_would_do():
    (warning,) = advice(with_gain(GOOD, -0.075, 0.075, "undecided"), QUALITY, ENOUGH, ENOUGH)
    assert "On near outliers nothing is decided: the interval of the difference to the baseline is 15 points" in warning
    assert f"with about 15 times as many ID and near test images, {100 * DECISIVE:.0f} points would show" in warning
    (wide,) = advice(with_gain(GOOD, -0.4, 0.4, "undecided"), QUALITY, ENOUGH, ENOUGH)
    assert f"with over {MOST_TIMES} times as many" in wide
    assert advice(with_gain(GOOD, -0.019, 0.019, "undecided"), QUALITY, ENOUGH, ENOUGH) == []
    assert advice(with_gain(GOOD, 0.001, 0.151, "better"), QUALITY, ENOUGH, ENOUGH) == []


def test_a_single_seed_is_told_to_take_three():
    (warning,) = advice(with_gain(run(3.0, seeds=(0,)), -0.075, 0.075, "undecided"), QUALITY, ENOUGH, ENOUGH)
    assert warning.endswith("Next: take three seeds or more, as one decides nothing.")


def test_an_interval_that_is_wide_for_the_luck_of_training_asks_for_seeds():
    (warning,) = advice(with_gain(GOOD, -0.05, 0.05, "undecided", from_seeds=0.04), QUALITY, ENOUGH, ENOUGH)
    assert "Next: take more seeds, as most of it is the luck of training; with about 12 of them 2 points" in warning
    (wide,) = advice(with_gain(GOOD, -0.5, 0.5, "undecided", from_seeds=0.4), QUALITY, ENOUGH, ENOUGH)
    assert f"with over {MOST_SEEDS} of them" in wide
    (images,) = advice(with_gain(GOOD, -0.05, 0.05, "undecided", from_seeds=0.031), QUALITY, ENOUGH, ENOUGH)
    assert "with about 4 times as many ID and near test images" in images


def test_small_classes_are_counted_and_the_smallest_is_named():
    (learnt, tested) = advice(GOOD, QUALITY, ENOUGH | {"a": 19, "b": 6}, ENOUGH | {"c": 0})
    assert learnt.startswith("2 classes have fewer than 20 ID training images, b the fewest (6). Next: ")
    assert tested.startswith("1 class has fewer than 10 ID test images, c the fewest (0). Next: ")


def test_advice_is_added_to_the_warnings_from_the_files_of_a_run():
    latents_store(Path("id_train"), per_class=30)
    for seed, right in ((0, 90), (1, 45), (2, 90)):
        logits = np.eye(3, dtype=np.float32)[np.repeat(np.arange(3), 30)]
        logits[right:] = np.roll(logits[right:], 1, axis=1)
        Path("teacher", str(seed)).mkdir(parents=True)
        save_outputs(Path("teacher", str(seed)), torch.from_numpy(logits), torch.zeros(90, 4))
    write_json(Path("quality.json"), QUALITY)
    metrics = copy.deepcopy(GOOD) | {"warnings": ["an earlier one"]}
    add_advice(metrics, score_table({"others": 3.0}), Path("id_train"), Path("teacher"), Path("quality.json"))
    assert metrics["training_accuracy"]["mean"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert metrics["warnings"] == ["an earlier one"]


def with_rival(accuracy, near):
    entry = {"difference": {"auroc": {"verdict": near}}}
    title = "a plain CNN on pixels"
    return GOOD | {
        "rival": {"kind": "cnn", "title": title, "groups": {"near": entry}, "id_accuracy": {"mean": accuracy}}
    }


def test_a_rival_that_is_better_is_named_with_what_it_does_better():
    own = GOOD["id_accuracy"]["detector"]["mean"]
    for close in ("better", "undecided"):
        assert advice(with_rival(own + 0.01, close), QUALITY, ENOUGH, ENOUGH) == []
    (warning,) = advice(with_rival(own + 0.031, "worse"), QUALITY, ENOUGH, ENOUGH)
    assert warning == (
        "A plain CNN on pixels is better than the detector on near outliers and in naming known images (3.1 points). "
        "Next: take a pretrained backbone as encoder (docs/encoders.md), which is worth more than anything else; or "
        "use the rival."
    )
    (warning,) = advice(with_rival(own, "worse"), QUALITY, ENOUGH, ENOUGH)
    assert "naming known images" not in warning
