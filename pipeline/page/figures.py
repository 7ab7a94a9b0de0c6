"""The figures of the page, in small panels: differences, ROC curves, histograms of scores, and losses."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from pipeline.curve import RATE, History
from pipeline.infer.table import SIDES
from pipeline.page.material import ID_TEST, Material
from pipeline.page.theme import COLOURS, themed_svg
from pipeline.page.words import (
    Entry,
    entries,
    loss_name,
    percent,
    score_name,
    set_title,
    signed,
    three_digits,
)
from pipeline.score.plots import BINS, FPR_GRID, mean_roc

Array = NDArray[np.float64]
MARKERS = {"better": "^", "worse": "v", "undecided": "o"}
LOG_RATIO = 30.0
"""A loss that falls to less than one part in so many is drawn on a logarithmic axis."""
ROW = 19.0


class Panel(NamedTuple):
    """A figure and what stands above it."""

    title: str
    svg: str


def forest(material: Material) -> list[Panel]:
    """Return per group and per set the difference in AUROC of every score with its interval, all on one axis."""
    found = entries(material.metrics)
    ends = [100 * end for entry in found for one in entry.values.values() for end in one["difference"]["auroc"]["ci95"]]
    limits = (min(0.0, *ends), max(0.0, *ends)) if ends else (0.0, 0.0)
    return [_forest_panel(index, entry, material.headline, limits) for index, entry in enumerate(found)]


def _forest_panel(index: int, entry: Entry, headline: str, limits: tuple[float, float]) -> Panel:
    scores = headline_first(entry.values, headline)
    gains = {name: entry.values[name]["difference"]["auroc"] for name in scores}
    told = ", ".join(f"{score_name(name)} {signed(gain['mean'])} ({gain['verdict']})" for name, gain in gains.items())
    alt = f"Difference in AUROC points, detector minus baseline, on {entry.title}: {told}"
    draw = partial(_draw_forest, gains=gains, limits=limits)
    return Panel(entry.title, themed_svg(f"forest-{index}", alt, ROW * len(scores) + 46, (96, 46, 6, 40), draw))


def _draw_forest(axes: Axes, gains: dict[str, Any], limits: tuple[float, float]) -> None:
    room = 0.04 * max(limits[1] - limits[0], 0.1)
    axes.set_xlim(limits[0] - room, limits[1] + room)
    axes.set_ylim(len(gains) - 0.5, -0.5)
    axes.axvline(0, color=COLOURS["soft"], linewidth=1)
    axes.grid(visible=True, axis="x")
    for place, gain in enumerate(gains.values()):
        colour = COLOURS[gain["verdict"]]
        low, high = (100 * end for end in gain["ci95"])
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        hollow = gain["verdict"] == "undecided"
        axes.plot(
            [100 * gain["mean"]], [place], MARKERS[gain["verdict"]], color=colour, markersize=8,
            markerfacecolor=COLOURS["paper"] if hollow else colour, markeredgewidth=1.6, clip_on=False,
        )  # fmt: skip
        axes.annotate(
            signed(gain["mean"]), (1, place), (42, 0), ("axes fraction", "data"), textcoords="offset points",
            ha="right", va="center", color=COLOURS["ink"], annotation_clip=False, weight=700 if place == 0 else 400,
        )  # fmt: skip
    axes.set_yticks(range(len(gains)), [score_name(name).replace("relative", "rel.") for name in gains])
    for label in axes.get_yticklabels()[:1]:
        label.set(weight=700, color=COLOURS["ink"])
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("points of AUROC, detector minus baseline")


def roc_panel(material: Material, index: int, name: str) -> Panel:
    """Return the ROC curves of an OOD set by the headline score: means over the seeds at each share of ID flagged."""
    found = material.metrics["sets"][name][material.headline]
    curves = {side: mean_roc(material.table, side, name, material.headline) for side in SIDES}
    told = {side: percent(found[side]["auroc"]["mean"]) for side in SIDES}
    alt = f"ROC curves on {name}: AUROC baseline {told['baseline']}, detector {told['detector']}"
    return Panel(
        set_title(material.metrics, name),
        themed_svg(f"roc-{index}", alt, 250, (44, 12, 8, 40), partial(_draw_roc, curves=curves, told=told)),
    )


def _draw_roc(axes: Axes, curves: dict[str, Array], told: dict[str, str]) -> None:
    axes.plot([0, 100], [0, 100], color=COLOURS["rule"], linewidth=1)
    axes.axhline(95, color=COLOURS["soft"], linewidth=1, linestyle=":")
    for side, style in zip(SIDES, ("--", "-"), strict=True):
        label = f"{side}, AUROC {told[side]}"
        axes.plot(100 * FPR_GRID, 100 * curves[side], style, color=COLOURS[side], label=label)
    axes.set(xlim=(0, 100), ylim=(0, 102), xlabel="% of ID flagged", ylabel="% of OOD caught")
    axes.legend(loc="lower right", handlelength=2.4)


def histogram_panel(material: Material, index: int, name: str) -> Panel:
    """Return the detector's headline scores of the ID test images and of an OOD set, all seeds, with the threshold."""
    known, unknown = (material.table.scores["detector", which, material.headline].ravel() for which in (ID_TEST, name))
    cut = mean_threshold(material)
    detected = percent(material.metrics["threshold"]["ood_detected"][name])
    alt = (
        f"Scores of ID test images and of {name}: {detected} % of {name} are beyond the threshold, {three_digits(cut)}"
    )
    draw = partial(_draw_histogram, known=known, unknown=unknown, cut=cut)
    svg = themed_svg(f"histogram-{index}", alt, 220, (44, 12, 22, 40), draw)
    return Panel(set_title(material.metrics, name), svg)


def mean_threshold(material: Material) -> float:
    """Return the threshold of the detectors, mean over the seeds."""
    return float(np.mean(list(material.metrics["threshold"]["values"].values())))


def _draw_histogram(axes: Axes, known: Array, unknown: Array, cut: float) -> None:
    ends = (min(known.min(), unknown.min(), cut), max(known.max(), unknown.max(), cut))
    edges = np.linspace(*ends, BINS + 1)
    shares = [100 * np.histogram(values, edges)[0] / len(values) for values in (known, unknown)]
    axes.stairs(shares[0], edges, fill=True, color=COLOURS["known"], alpha=0.55)
    axes.stairs(shares[0], edges, color=COLOURS["known"], linewidth=1)
    axes.stairs(shares[1], edges, color=COLOURS["outlier"], linewidth=1.6, hatch="////")
    axes.axvline(cut, color=COLOURS["ink"], linewidth=1.4, linestyle="--")
    axes.annotate(
        "threshold", (cut, 1), (0, 5), ("data", "axes fraction"), textcoords="offset points", ha="center", va="bottom"
    )
    axes.set(ylim=(0, None), xlabel="score (larger: more outlier)", ylabel="% of images")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def training(material: Material) -> list[Panel]:
    """Return one panel per role and loss: the mean over the seeds, and the range between them."""
    panels: list[Panel] = []
    for role, side in (("teacher", "baseline"), ("detector", "detector")):
        for loss, curves in loss_curves(material.histories.get(role, {})).items():
            panels.append(_training_panel(len(panels), role, loss, curves, COLOURS[side]))
    return panels


def loss_curves(histories: Mapping[int, History]) -> dict[str, Array]:
    """Return by loss its weighted value in each epoch of each seed, (seeds, epochs)."""
    runs = list(histories.values())
    epochs = min((len(run) for run in runs), default=0)
    losses = list(dict.fromkeys(loss for run in runs for epoch in run for loss in epoch if loss != RATE))
    return {loss: np.array([[epoch[loss] for epoch in run[:epochs]] for run in runs]) for loss in losses}


def _training_panel(index: int, role: str, loss: str, curves: Array, colour: str) -> Panel:
    mean = curves.mean(0)
    words = loss_name(loss)
    alt = f"{words} of the {role} over {len(mean)} epochs: from {mean[0]:.3g} to {mean[-1]:.3g}, mean over the seeds"
    draw = partial(_draw_training, curves=curves, colour=colour)
    return Panel(f"{role}: {words}", themed_svg(f"training-{index}", alt, 170, (50, 12, 8, 40), draw))


def _draw_training(axes: Axes, curves: Array, colour: str) -> None:
    epochs = np.arange(1, curves.shape[1] + 1)
    axes.fill_between(epochs, curves.min(0), curves.max(0), color=colour, alpha=0.25, linewidth=0)
    axes.plot(epochs, curves.mean(0), color=colour, linewidth=1.8, marker="." if len(epochs) == 1 else "")
    if curves.min() > 0 and curves.mean(0).max() / curves.mean(0).min() > LOG_RATIO:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter("")
        axes.minorticks_off()
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(visible=True, axis="y")
    axes.set_xlabel("epoch")


def headline_first(scores: Sequence[str] | Mapping[str, Any], headline: str) -> list[str]:
    """Return the names of scores: the headline one first, the others by name."""
    return sorted(scores, key=lambda name: (name != headline, name))
