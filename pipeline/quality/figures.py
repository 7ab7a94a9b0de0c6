"""Draw what the outliers of each method are like, beside ID images that no teacher has seen."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.quality.measure import Reference, Rows, posterior_by_share

ID_COLOUR, OUTLIER_COLOUR = "0.7", "tab:red"
LONGEST_REACH = 4.0
"""Radii at which the histogram ends; rows beyond are counted in its last bin."""


def draw_methods(path: Path, methods: Mapping[str, Rows], validation: Rows, reference: Reference) -> None:
    """Draw per method two histograms: how sure the teachers are of a row, and how far it lies from every class."""
    figure = Figure(figsize=(8, 1.3 * len(methods) + 1.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(methods), 2, squeeze=False, sharex="col")
    known = (validation.posteriors.max(2).ravel(), reference.reach(validation.values).min(1))
    for row, (name, rows) in zip(axes, methods.items(), strict=True):
        found = (rows.posteriors.max(2).ravel(), reference.reach(rows.values).min(1))
        for axis, of_id, of_outliers, top in zip(row, known, found, (1.0, LONGEST_REACH), strict=True):
            _histograms(axis, of_id, of_outliers, top)
        row[0].set_ylabel(name, fontsize=9)
    axes[0, 0].set_title("teacher's highest probability", fontsize=9)
    axes[0, 1].set_title("distance to the nearest class, in its radii", fontsize=9)
    axes[0, 1].legend(("boundary", "ID validation", "outliers"), fontsize=7, frameon=False)
    _save(figure, path)


def draw_posteriors(path: Path, methods: Mapping[str, Rows]) -> None:
    """Draw for each method that mixes classes what the teachers say of a row, by the first class's share."""
    curves = {name: posterior_by_share(rows, bins=12) for name, rows in methods.items()}
    between = {name: curve for name, curve in curves.items() if curve is not None}
    if not between:
        return
    figure = Figure(figsize=(3.2 * len(between) + 0.6, 3.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (name, curve) in zip(figure.subplots(1, len(between), squeeze=False)[0], between.items(), strict=True):
        for column, label in enumerate(("class a", "class b", "all others"), start=1):
            axis.plot(curve[:, 0], curve[:, column], marker=".", label=label)
        axis.set(title=name, xlabel="share of class a", ylim=(0, 1))
        axis.title.set_fontsize(10)
    figure.axes[0].set_ylabel("teachers' posterior, mean")
    figure.axes[0].legend(fontsize=7, frameon=False)
    _save(figure, path)


def _histograms(axis: Axes, of_id: np.ndarray, of_outliers: np.ndarray, top: float) -> None:
    bins = np.linspace(0, top, 41)
    if top > 1:
        axis.axvline(1.0, color="black", linewidth=0.8, linestyle=":")
    for values, colour in ((of_id, ID_COLOUR), (of_outliers, OUTLIER_COLOUR)):
        clipped = np.minimum(values, top)
        weights = np.full(len(clipped), 1 / len(clipped))
        axis.hist(clipped, bins.tolist(), weights=weights, color=colour, alpha=0.6 if colour == OUTLIER_COLOUR else 1.0)
    axis.set_yticks([])


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})  # no version: the same picture is the same bytes
