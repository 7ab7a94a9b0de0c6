"""Who is compared, and the runs of those that are not ours: the same images, split and scores for everyone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.photographs import cnn, logistic
from benchmarks.photographs.folders import Photographs
from benchmarks.photographs.judging import Array, Json
from benchmarks.photographs.ours import run_ours
from benchmarks.photographs.parts import Parts
from benchmarks.photographs.project import SEEDS, Split, costs, images_digest, make_project, read_split, required
from pipeline.params.infer import ScoreName
from pipeline.runtime.device import STAGE_THREADS, prepare_torch
from pipeline.runtime.files import folder_digest
from pipeline.runtime.text.terminal import say
from pipeline.training.rival import read_levels

CHOICE = "choice"


class Contestant(NamedTuple):
    """One line of the table."""

    title: str
    scores: tuple[ScoreName, ...] | None
    """Those that it is judged by, the best on the test sets; None: the default score of its project."""
    rival: str | None
    """Which of ours is meant to be better."""
    side: str = "detector"


CONTESTANTS: dict[str, Contestant] = {
    "supervised": Contestant("**ours, without a backbone** (`supervised`)", None, None),
    "supervised-teacher": Contestant("its teacher, by the same score", None, "supervised", "teacher"),
    "cnn": Contestant("plain CNN of 4 layers", ("msp",), "supervised"),
    "thumbnails": Contestant("logistic regression on thumbnails and edges", ("msp",), "supervised"),
    "backbone": Contestant("**ours, EfficientNet-Lite0** (`transformers`)", None, None),
    "backbone-teacher": Contestant("its teacher, by the same score", None, "backbone", "teacher"),
    "frozen": Contestant("logistic regression on EfficientNet-Lite0", ("msp", "knn", "mahalanobis_pp"), "backbone"),
}
"""In the order of the table. Those called -teacher are a side of our runs."""
RUNS = ("cnn", "frozen", "thumbnails", "supervised", "backbone")
"""What is computed, the cheap ones first."""


def run(name: str, photographs: Photographs, backbone: Path | None, *, again: bool) -> None:
    """Compute the parts of a contestant that are not there; again: all of them."""
    prepare_torch(STAGE_THREADS)
    say(f"{photographs.name}: {name}")
    parts, split = Parts.of(photographs), _split(photographs)
    contents = split.contents()
    parts.write_images(photographs, contents)
    shared = {"images": images_digest(contents), "infer": split.params.infer.model_dump(mode="json")}
    if name == "cnn":
        _run_cnn(parts, split, shared | cnn.settings(photographs.pixels), again=again)
    elif name == "thumbnails":
        _run_logistic(parts, name, shared, split, partial(logistic.thumbnail_features, split), again=again)
    elif name == "frozen":
        folder = required(backbone)
        settings = shared | {"backbone": folder_digest(folder)}
        _run_logistic(parts, name, settings, split, partial(logistic.backbone_features, split, folder), again=again)
    else:
        run_ours(parts, photographs, "supervised" if name == "supervised" else "backbone", backbone, again=again)


def _split(photographs: Photographs) -> Split:
    """Return the images of a project that is made for its split only; its encoder does not matter."""
    project = photographs.folder / "projects/split"
    make_project(project, photographs, "supervised", None)
    return read_split(project, photographs)


def _run_cnn(parts: Parts, split: Split, settings: Json, *, again: bool) -> None:
    """Choose the learning rate by the first seed, whose network is one of those tried, and train the other seeds."""
    missing = [seed for seed in SEEDS if again or not parts.has("cnn", seed, settings)]
    if missing and (again or not parts.has(CHOICE, 0, settings)):
        results = {rate: _trained(split, settings, rate, SEEDS[0]) for rate in cnn.RATES}
        tried = {str(rate): found["id_validation_accuracy"] for rate, (_, found) in results.items()}
        rate = max(cnn.RATES, key=lambda one: tried[str(one)])
        parts.write("cnn", SEEDS[0], settings, *results[rate])
        spent = {name: sum(costs[name] for costs, _ in results.values()) for name in ("seconds", "cpu_seconds")}
        parts.write(CHOICE, 0, settings, spent, {"rate": rate, "id_validation_accuracy": tried})
        missing = [seed for seed in missing if seed != SEEDS[0]]
    for seed in missing:
        parts.write("cnn", seed, settings, *_trained(split, settings, parts.read(CHOICE, 0)["rate"], seed))


def _trained(split: Split, settings: Json, rate: float, seed: int) -> tuple[dict[str, float], Json]:
    """Return what a training and the decisions of its network cost, and what it reaches."""
    with costs() as spent:
        levels = {name: read_levels(images, settings["pixels"], lambda _: None) for name, images in split.sets.items()}
        network = cnn.train(levels, split, rate, seed)
        found = cnn.judge(network, levels, split)
    labels = split.sets["id_validation"].labels
    accuracy = cnn.validation_accuracy(network, levels["id_validation"], labels)
    return spent, found | {"rate": rate, "id_validation_accuracy": accuracy}


def _run_logistic(
    parts: Parts, name: str, shared: Json, split: Split, features: Callable[[], dict[str, Array]], *, again: bool
) -> None:
    settings = shared | logistic.settings()
    if again or not parts.has(name, 0, settings):
        with costs() as spent:
            found = logistic.judge(features(), split)
        parts.write(name, 0, settings, spent, found)
