"""The figures of the page as small panels: differences, ROC curves, histograms of scores, and losses."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from pipeline.params.infer import ScoreName
from pipeline.posthoc.table import SIDES, ScoreTable
from pipeline.report.hardest import ID_TEST
from pipeline.report.page.content import PageContent
from pipeline.report.page.theme import COLOURS, themed_svg
from pipeline.report.plots import BINS, FPR_GRID, mean_roc
from pipeline.report.sentences import Entry, entries, loss_name, percent, score_name, set_title, signed, three_digits
from pipeline.training.curve import ACCURACY, History, loss_names

Array = NDArray[np.float64]
MARKERS = {"better": "^", "worse": "v", "undecided": "o"}
LOG_RATIO = 30.0
"""A loss is drawn on a logarithmic axis when its mean curve spans more than this ratio, largest to smallest."""
LEFT_OUT = np.linspace(0, 0.5, 51)
"""Shares of the ID test images that are left out for their scores."""
ROW_HEIGHT = 19.0
"""Height of one score in a forest panel, in units of the SVG."""


class Panel(NamedTuple):
    """A figure and its title."""

    title: str
    svg: str


def forest(content: PageContent) -> list[Panel]:
    """Return a panel per group and set: the AUROC difference of every score with its interval, on a shared axis."""
    metric_entries = entries(content.metrics)
    intervals = [values["difference"]["auroc"]["ci95"] for entry in metric_entries for values in entry.values.values()]
    ends = [100 * end for interval in intervals for end in interval]
    limits = (min(0.0, *ends), max(0.0, *ends)) if ends else (0.0, 0.0)
    return [_forest_panel(index, entry, content.headline, limits) for index, entry in enumerate(metric_entries)]


def _forest_panel(index: int, entry: Entry, headline: str, limits: tuple[float, float]) -> Panel:
    scores = headline_first(entry.values, headline)
    gains = {name: entry.values[name]["difference"]["auroc"] for name in scores}
    values = ", ".join(f"{score_name(name)} {signed(gain['mean'])} ({gain['verdict']})" for name, gain in gains.items())
    alt = f"Difference in AUROC points, detector minus baseline, on {entry.title}: {values}"
    draw = partial(_draw_forest, gains=gains, limits=limits)
    return Panel(entry.title, themed_svg(f"forest-{index}", alt, ROW_HEIGHT * len(scores) + 46, (96, 46, 6, 40), draw))


def _draw_forest(axes: Axes, gains: dict[str, Any], limits: tuple[float, float]) -> None:
    padding = 0.04 * max(limits[1] - limits[0], 0.1)
    axes.set_xlim(limits[0] - padding, limits[1] + padding)
    axes.set_ylim(len(gains) - 0.5, -0.5)
    axes.axvline(0, color=COLOURS["soft"], linewidth=1)
    axes.grid(visible=True, axis="x")
    for index, gain in enumerate(gains.values()):
        colour = COLOURS[gain["verdict"]]
        low, high = (100 * end for end in gain["ci95"])
        axes.plot([low, high], [index, index], color=colour, linewidth=2)
        hollow = gain["verdict"] == "undecided"
        axes.plot(
            [100 * gain["mean"]], [index], MARKERS[gain["verdict"]], color=colour, markersize=8,
            markerfacecolor=COLOURS["paper"] if hollow else colour, markeredgewidth=1.6, clip_on=False,
        )  # fmt: skip
        axes.annotate(
            signed(gain["mean"]), (1, index), (42, 0), ("axes fraction", "data"), textcoords="offset points",
            ha="right", va="center", color=COLOURS["ink"], annotation_clip=False, weight=700 if index == 0 else 400,
        )  # fmt: skip
    axes.set_yticks(range(len(gains)), [score_name(name).replace("relative", "rel.") for name in gains])
    for label in axes.get_yticklabels()[:1]:
        label.set(weight=700, color=COLOURS["ink"])
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("points of AUROC, detector minus baseline")


def roc_panel(content: PageContent, index: int, name: str) -> Panel:
    """Return the ROC curves of an OOD set by the headline score: means over the seeds at each share of ID flagged."""
    values = content.metrics["sets"][name][content.headline]
    curves = {side: mean_roc(content.table, side, name, content.headline) for side in SIDES}
    aurocs = {side: percent(values[side]["auroc"]["mean"]) for side in SIDES}
    alt = f"ROC curves on {name}: AUROC baseline {aurocs['baseline']}, detector {aurocs['detector']}"
    return Panel(
        set_title(content.metrics, name),
        themed_svg(f"roc-{index}", alt, 250, (44, 12, 8, 40), partial(_draw_roc, curves=curves, aurocs=aurocs)),
    )


def _draw_roc(axes: Axes, curves: dict[str, Array], aurocs: dict[str, str]) -> None:
    axes.plot([0, 100], [0, 100], color=COLOURS["rule"], linewidth=1)
    axes.axhline(95, color=COLOURS["soft"], linewidth=1, linestyle=":")
    for side, style in zip(SIDES, ("--", "-"), strict=True):
        label = f"{side}, AUROC {aurocs[side]}"
        axes.plot(100 * FPR_GRID, 100 * curves[side], style, color=COLOURS[side], label=label)
    axes.set(xlim=(0, 100), ylim=(0, 102), xlabel="% of ID flagged", ylabel="% of OOD caught")
    axes.legend(loc="lower right", handlelength=2.4)


def histogram_panel(content: PageContent, index: int, name: str) -> Panel:
    """Return the histograms of detector scores for ID test and for an OOD set, all seeds, with the threshold."""
    id_scores, ood_scores = (
        content.table.scores["detector", image_set, content.headline].ravel() for image_set in (ID_TEST, name)
    )
    threshold = mean_threshold(content)
    detected = percent(content.metrics["threshold"]["ood_detected"][name])
    alt = (
        f"Scores of ID test images and of {name}: {detected} % of {name} are beyond the threshold, "
        f"{three_digits(threshold)}"
    )
    draw = partial(_draw_histogram, id_scores=id_scores, ood_scores=ood_scores, threshold=threshold)
    svg = themed_svg(f"histogram-{index}", alt, 220, (44, 12, 22, 40), draw)
    return Panel(set_title(content.metrics, name), svg)


def rejection_panel(content: PageContent) -> Panel:
    """Return the accuracy on the ID test images that are kept, by the share that is left out, largest scores first."""
    curves = {side: accuracy_when_rejecting(content.table, side, content.headline) for side in SIDES}
    spans = {side: f"{percent(curve[0])} to {percent(curve[-1])}" for side, curve in curves.items()}
    alt = (
        f"Accuracy from none to half of the ID test images left out: baseline {spans['baseline']} %, "
        f"detector {spans['detector']} %"
    )
    svg = themed_svg("rejection", alt, 230, (50, 12, 8, 40), partial(_draw_rejection, curves=curves))
    return Panel("accuracy of what is kept", svg)


def accuracy_when_rejecting(table: ScoreTable, side: str, score: ScoreName) -> Array:  # (len(LEFT_OUT),)
    """Return the ID accuracy when the share LEFT_OUT of the ID test images with the largest scores is left out.

    Means over the seeds; of half an image it is interpolated. Source: the risk-coverage curve of El-Yaniv and Wiener
    2010, https://jmlr.org/papers/v11/el-yaniv10a.html.
    """
    curves = []
    for scores, predicted in zip(table.scores[side, ID_TEST, score], table.predicted[side, ID_TEST], strict=True):
        hits = (predicted == table.labels[ID_TEST])[np.argsort(scores, kind="stable")]
        kept = np.arange(1, len(hits) + 1)
        curves.append(np.interp((1 - LEFT_OUT) * len(hits), kept, np.cumsum(hits) / kept))
    mean: Array = np.mean(curves, axis=0)
    return mean


def _draw_rejection(axes: Axes, curves: dict[str, Array]) -> None:
    for side, style in zip(SIDES, ("--", "-"), strict=True):
        axes.plot(100 * LEFT_OUT, 100 * curves[side], style, color=COLOURS[side], label=side)
    axes.set(xlim=(0, 100 * LEFT_OUT[-1]), xlabel="% of ID test left out", ylabel="% named rightly")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(visible=True, axis="y")
    axes.legend(loc="lower right", handlelength=2.4)


def mean_threshold(content: PageContent) -> float:
    """Return the mean threshold of the detectors over the seeds."""
    return float(np.mean(list(content.metrics["threshold"]["values"].values())))


def _draw_histogram(axes: Axes, id_scores: Array, ood_scores: Array, threshold: float) -> None:
    ends = (min(id_scores.min(), ood_scores.min(), threshold), max(id_scores.max(), ood_scores.max(), threshold))
    edges = np.linspace(*ends, BINS + 1)
    shares = [100 * np.histogram(values, edges)[0] / len(values) for values in (id_scores, ood_scores)]
    axes.stairs(shares[0], edges, fill=True, color=COLOURS["id"], alpha=0.55)
    axes.stairs(shares[0], edges, color=COLOURS["id"], linewidth=1)
    axes.stairs(shares[1], edges, color=COLOURS["outlier"], linewidth=1.6, hatch="////")
    axes.axvline(threshold, color=COLOURS["ink"], linewidth=1.4, linestyle="--")
    axes.annotate(
        "threshold", (threshold, 1), (0, 5), ("data", "axes fraction"), textcoords="offset points",
        ha="center", va="bottom",
    )  # fmt: skip
    axes.set(ylim=(0, None), xlabel="score (larger: more outlier)", ylabel="% of images")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def training(content: PageContent) -> list[Panel]:
    """Return panels per role, of its accuracy on ID validation and of each loss: mean over the seeds, and range."""
    panels: list[Panel] = []
    for role, side in (("teacher", "baseline"), ("detector", "detector")):
        histories = content.histories.get(role, {})
        if (accuracy := accuracy_curves(histories)) is not None:
            panels.append(_accuracy_panel(len(panels), role, accuracy, COLOURS[side]))
        for loss, curves in loss_curves(histories).items():
            panels.append(_training_panel(len(panels), role, loss, curves, COLOURS[side]))
    return panels


def accuracy_curves(histories: Mapping[int, History]) -> Array | None:
    """Return the accuracy on ID validation after each epoch, (seeds, epochs); None where an epoch has none."""
    epochs = [epoch for run in histories.values() for epoch in run]
    return _by_epoch(histories, ACCURACY) if epochs and all(ACCURACY in epoch for epoch in epochs) else None


def loss_curves(histories: Mapping[int, History]) -> dict[str, Array]:
    """Return for each loss its weighted values, an array (seeds, epochs)."""
    losses = dict.fromkeys(loss for run in histories.values() for epoch in run for loss in loss_names(epoch))
    return {loss: _by_epoch(histories, loss) for loss in losses}


def _by_epoch(histories: Mapping[int, History], name: str) -> Array:
    """Return a value of the epochs that all seeds have, (seeds, epochs)."""
    epochs = min(map(len, histories.values()))
    return np.array([[epoch[name] for epoch in run[:epochs]] for run in histories.values()])


def _training_panel(index: int, role: str, loss: str, curves: Array, colour: str) -> Panel:
    mean = curves.mean(0)
    title = loss_name(loss)
    alt = f"{title} of the {role} over {len(mean)} epochs: from {mean[0]:.3g} to {mean[-1]:.3g}, mean over the seeds"
    draw = partial(_draw_training, curves=curves, colour=colour)
    return Panel(f"{role}: {title}", themed_svg(f"training-{index}", alt, 170, (50, 12, 8, 40), draw))


def _accuracy_panel(index: int, role: str, curves: Array, colour: str) -> Panel:
    mean = curves.mean(0)
    epochs = f"{len(mean)} epochs: from {percent(mean[0])} to {percent(mean[-1])}"
    alt = f"% of ID validation images that the {role} named rightly over {epochs}, mean over the seeds"
    draw = partial(_draw_accuracy, curves=100 * curves, colour=colour)
    return Panel(f"{role}: validation accuracy, %", themed_svg(f"training-{index}", alt, 170, (50, 12, 8, 40), draw))


def _draw_accuracy(axes: Axes, curves: Array, colour: str) -> None:
    _draw_range(axes, curves, colour)
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _draw_range(axes: Axes, curves: Array, colour: str) -> None:
    epochs = np.arange(1, curves.shape[1] + 1)
    axes.fill_between(epochs, curves.min(0), curves.max(0), color=colour, alpha=0.25, linewidth=0)
    axes.plot(epochs, curves.mean(0), color=colour, linewidth=1.8, marker="." if len(epochs) == 1 else "")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(visible=True, axis="y")
    axes.set_xlabel("epoch")


def _draw_training(axes: Axes, curves: Array, colour: str) -> None:
    _draw_range(axes, curves, colour)
    if curves.min() > 0 and curves.mean(0).max() / curves.mean(0).min() > LOG_RATIO:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter("")
        axes.minorticks_off()
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))


def headline_first(scores: Sequence[str] | Mapping[str, Any], headline: str) -> list[str]:
    """Return the names of scores: the headline score first, the others by name."""
    return sorted(scores, key=lambda name: (name != headline, name))
