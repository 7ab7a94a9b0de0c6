"""Warnings about a run that its figures give cause for, each with what to do next."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.networks.outputs import load_outputs
from pipeline.params.quality import QUALITY_FORMAT
from pipeline.posthoc.table import ScoreTable
from pipeline.report.metrics_json import mean_and_std
from pipeline.report.sentences import GROUPS, group_name, joined_words, percent
from pipeline.runtime.report_file import read_report
from pipeline.store.reader import Store

Json = dict[str, Any]
NEAR_CHANCE = 0.65
"""AUROC below which a detector is said to be close to guessing."""
LEARNT_BY_HEART = 0.15
"""How much lower than on training images the accuracy on test images may be."""
MOST_PASSING = 0.5
"""Share of the ID validation images that pass for ID, of which outliers may pass at most this part."""
DECISIVE = 0.02
"""Half the width of an interval that is narrow enough for a verdict, as AUROC."""
FEW_TO_LEARN, FEW_TO_TEST = 20, 10
"""Images of a class below which there are few, in the training and in the test set."""
MOST_TIMES, MOST_SEEDS = 100, 30
"""No number of images is asked for that is larger by more than this, nor more seeds than that."""
WEAKER = {
    "perturb": "raise synthesize.perturb.sigma",
    "mixup": "bring synthesize.mixup.lam_min and lam_max closer to 0.5",
    "label_mixup": "bring synthesize.label_mixup.lam_min and lam_max closer to 0.5",
}
"""What makes rows of a method less like ID images."""
MORE_ACCURATE = 0.02
"""How much more accurate a rival may be before it is said to be better."""
CONTROLS = ("copies", "gaussian")
NO_ENCODER = "take a pretrained backbone as encoder (docs/encoders.md), which is worth more than anything else"
OTHER_ENCODER = "take a larger backbone, or one that was trained on images like these"


def add_advice(metrics: Json, table: ScoreTable, id_train: Path, teachers: Path, quality_file: Path) -> None:
    """Add `training_accuracy` to `metrics`, and to its warnings those of `advice`.

    id_train: the store of ID training latents. teachers: a folder for each seed.
    """
    names, labels = table.class_names, Store(id_train).column("label")
    outputs = [load_outputs(teachers / str(seed), len(labels), len(names)) for seed in table.seeds]
    hits = [of_seed.logits.argmax(1).numpy() == labels for of_seed in outputs]
    metrics["training_accuracy"] = mean_and_std([float(of_seed.mean()) for of_seed in hits])
    sizes = [np.bincount(of_set, minlength=len(names)).tolist() for of_set in (labels, table.labels["id_test"])]
    quality = read_report(quality_file, QUALITY_FORMAT, "quality")
    metrics["warnings"] += advice(metrics, quality, *(dict(zip(names, of_set, strict=True)) for of_set in sizes))


def advice(
    metrics: Json,  # with `training_accuracy`
    quality: Json,
    training: Mapping[str, int],  # number of ID training images of each class
    test: Mapping[str, int],  # of ID test images
) -> list[str]:
    """Return warnings: what was found, and what to do next."""
    return [
        *_near_chance(metrics),
        *_learnt_by_heart(metrics),
        *_passing_for_id(quality),
        *_undecided(metrics),
        *_rival_better(metrics),
        *_few(training, FEW_TO_LEARN, "ID training images", "add images of it, or hold the class out"),
        *_few(test, FEW_TO_TEST, "ID test images", "add images of it: so few decide nothing"),
    ]


def _near_chance(metrics: Json) -> list[str]:
    found = {
        name: auroc
        for name, scores in metrics["sets"].items()
        if (auroc := scores[metrics["score"]]["detector"]["auroc"]["mean"]) < NEAR_CHANCE
    }
    if not found:
        return []
    sets = joined_words([f"{name} (AUROC {percent(auroc)})" for name, auroc in found.items()])
    step = OTHER_ENCODER if metrics["latents"]["encoder"] in ("transformers", "onnx") else NO_ENCODER
    return [f"Telling images of {sets} from known ones is close to guessing, which has 50. Next: {step}."]


def _learnt_by_heart(metrics: Json) -> list[str]:
    training, test = metrics["training_accuracy"]["mean"], metrics["id_accuracy"]["baseline"]["mean"]
    if training - test < LEARNT_BY_HEART:
        return []
    found = f"{100 * training:.0f} of 100 training images rightly and {100 * test:.0f} of 100 ID test images"
    step = "more views (views.count), more images, or a pretrained encoder"
    return [f"The teacher names {found}: it has learnt the former by heart. Next: {step}."]


def _passing_for_id(quality: Json) -> list[str]:
    known = quality["id_validation"]["passes_for_id"]["mean"]
    warnings = []
    for name, entry in quality["methods"].items():
        share = entry["passes_for_id"]["mean"]
        if name not in CONTROLS and share > MOST_PASSING * known:
            step = f"{WEAKER[name]}, or " if name in WEAKER else ""
            warnings.append(
                f"{100 * share:.0f} of 100 outliers of {name} pass for ID, as {100 * known:.0f} of 100 ID validation "
                f"images do: the detector learns to reject what it should keep. Next: {step}take {name} out of "
                f"synthesize.methods."
            )
    return warnings


def _undecided(metrics: Json) -> list[str]:
    warnings = []
    for name in (name for name in GROUPS if name in metrics["groups"]):
        gain = metrics["groups"][name][metrics["score"]]["difference"]["auroc"]
        half = (gain["ci95"][1] - gain["ci95"][0]) / 2
        if gain["verdict"] != "undecided" or half <= DECISIVE:
            continue
        outliers = group_name(name)
        step = _narrower(half, gain["ci95_from_seeds"], len(metrics["seeds"]), outliers)
        warnings.append(
            f"On {outliers} outliers nothing is decided: the interval of the difference to the baseline is "
            f"{200 * half:.0f} points wide. Next: {step}."
        )
    return warnings


def _rival_better(metrics: Json) -> list[str]:
    """Warn where what one would take instead is better: on outliers, or in ID accuracy by MORE_ACCURATE and more."""
    if (rival := metrics.get("rival")) is None:
        return []
    lost = [name for name, entry in rival["groups"].items() if entry["difference"]["auroc"]["verdict"] == "worse"]
    found = [f"on {joined_words([group_name(name) for name in lost])} outliers"] if lost else []
    accuracy = rival["id_accuracy"]["mean"] - metrics["id_accuracy"]["detector"]["mean"]
    found += [f"in naming known images ({100 * accuracy:.1f} points)"] if accuracy >= MORE_ACCURATE else []
    if not found:
        return []
    step = OTHER_ENCODER if rival["kind"] == "regression" else NO_ENCODER
    title = rival["title"][0].upper() + rival["title"][1:]
    return [f"{title} is better than the detector {joined_words(found)}. Next: {step}; or use the rival."]


def _narrower(half: float, from_seeds: float, seeds: int, outliers: str) -> str:
    """Return what would narrow an interval to a verdict: more seeds or more images, whichever it is wider for."""
    if seeds == 1:
        return "take three seeds or more, as one decides nothing"
    from_images = math.sqrt(max(half**2 - from_seeds**2, 0.0))
    shown = f"{100 * DECISIVE:.0f} points would show"
    if from_seeds > from_images:
        more = _at_most(math.ceil(seeds * (from_seeds / DECISIVE) ** 2), MOST_SEEDS)
        return f"take more seeds, as most of it is the luck of training; with {more} of them {shown}"
    times = _at_most(math.ceil((from_images / DECISIVE) ** 2), MOST_TIMES)
    return f"with {times} times as many ID and {outliers} test images, {shown}"


def _at_most(number: int, most: int) -> str:
    return f"about {number}" if number <= most else f"over {most}"


def _few(sizes: Mapping[str, int], few: int, what: str, step: str) -> list[str]:
    small = {name: images for name, images in sizes.items() if images < few}
    if not small:
        return []
    least = min(small, key=lambda name: small[name])
    classes = f"{len(small)} classes have" if len(small) > 1 else "1 class has"
    return [f"{classes} fewer than {few} {what}, {least} the fewest ({small[least]}). Next: {step}."]
