"""Draw measures of each method's outliers, next to ID images that no teacher was trained on."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from pipeline.outliers.quality import MeasuredRows, Reference, posterior_by_share
from pipeline.runtime.text.figure import png_figure

ID_COLOUR, OUTLIER_COLOUR = "0.7", "tab:red"
LONGEST_REACH = 4.0
"""Upper end of the distance histogram, in radii. Rows beyond it are counted in the last bin."""


def draw_methods(
    path: Path, methods: Mapping[str, MeasuredRows], validation: MeasuredRows, reference: Reference
) -> None:
    """Draw two histograms per method: the teachers' highest probability, and the distance to the nearest class."""
    id_columns = _histogram_columns(validation, reference)
    with png_figure(path, 8, 1.3 * len(methods) + 1.2) as figure:
        axes = figure.subplots(len(methods), 2, squeeze=False, sharex="col")
        for axes_row, (name, rows) in zip(axes, methods.items(), strict=True):
            outlier_columns = _histogram_columns(rows, reference)
            for axis, id_values, outlier_values, top in zip(
                axes_row, id_columns, outlier_columns, (1.0, LONGEST_REACH), strict=True
            ):
                _draw_histograms(axis, id_values, outlier_values, top)
            axes_row[0].set_ylabel(name, fontsize=9)
        axes[0, 0].set_title("teacher's highest probability", fontsize=9)
        axes[0, 1].set_title("distance to the nearest class, in its radii", fontsize=9)
        axes[0, 1].legend(("boundary", "ID validation", "outliers"), fontsize=7, frameon=False)


def draw_posteriors(path: Path, methods: Mapping[str, MeasuredRows]) -> None:
    """Draw the teachers' mean posterior over the first class's share, for each method that mixes classes."""
    curves = {name: posterior_by_share(rows, bins=12) for name, rows in methods.items()}
    between = {name: curve for name, curve in curves.items() if curve is not None}
    if not between:
        return
    with png_figure(path, 3.2 * len(between) + 0.6, 3.0) as figure:
        panels = figure.subplots(1, len(between), squeeze=False)[0]
        for axis, (name, curve) in zip(panels, between.items(), strict=True):
            for column, label in enumerate(("class a", "class b", "all others"), start=1):
                axis.plot(curve[:, 0], curve[:, column], marker=".", label=label)
            axis.set(title=name, xlabel="share of class a", ylim=(0, 1))
            axis.title.set_fontsize(10)
        panels[0].set_ylabel("teachers' posterior, mean")
        panels[0].legend(fontsize=7, frameon=False)


def _histogram_columns(rows: MeasuredRows, reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """Return the highest probability of each row and teacher, and the distance of each row to its nearest class."""
    return rows.posteriors.max(2).ravel(), reference.reach(rows.values).min(1)


def _draw_histograms(axis: Axes, id_values: np.ndarray, outlier_values: np.ndarray, top: float) -> None:
    bins = np.linspace(0, top, 41)
    if top > 1:
        axis.axvline(1.0, color="black", linewidth=0.8, linestyle=":")
    for values, colour in ((id_values, ID_COLOUR), (outlier_values, OUTLIER_COLOUR)):
        clipped = np.minimum(values, top)
        weights = np.full(len(clipped), 1 / len(clipped))
        axis.hist(clipped, bins.tolist(), weights=weights, color=colour, alpha=0.6 if colour == OUTLIER_COLOUR else 1.0)
    axis.set_yticks([])
