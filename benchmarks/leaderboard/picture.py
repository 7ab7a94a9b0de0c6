"""Draw how AUROC depends on the number of outliers that our default is trained on."""

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.leaderboard.lines import groups_of
from benchmarks.leaderboard.methods import BASELINE, OURS
from benchmarks.leaderboard.page import TITLES, sized

Json = dict[str, Any]
COLOURS = {"near": "#b5541c", "far": "#1c6fb5"}


def draw(reports: list[Json], path: Path) -> None:
    """Write a PNG with a panel per benchmark: AUROC against outliers of each synthesis method, cross-entropy dashed."""
    figure = Figure(figsize=(4 * len(reports), 3.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axis, report in zip(figure.subplots(1, len(reports), squeeze=False)[0], reports, strict=True):
        score = report["headline"]
        for group in groups_of(report):
            found = points(report, group)
            means, stds = ([100 * (value[name] or 0.0) for _, value in found] for name in ("mean", "std"))
            axis.errorbar([rows for rows, _ in found], means, stds, marker="o", color=COLOURS[group], label=group)
            baseline = report["methods"][BASELINE]["scores"][score][group]["auroc"]["mean"]
            axis.axhline(100 * baseline, color=COLOURS[group], linestyle="--", linewidth=1)
        axis.set_xscale("log", base=2)
        axis.set_title(TITLES[report["benchmark"]], fontsize=10)
        axis.set_xlabel("outliers of each method; dashed: cross-entropy")
        axis.set_ylabel(f"AUROC in percent, score {score}")
        axis.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})  # no version: the same picture is the same bytes


def points(report: Json, group: str) -> list[tuple[int, Json]]:
    """Return the AUROC at each number of outliers, that of params.yaml among them, the smallest number first."""
    methods, score = report["methods"], report["headline"]
    names = {name: methods[name]["rows"] for name in sized(report)}
    if len(defaults := set(report["outliers"].values())) == 1:
        names = {name: rows for name, rows in names.items() if rows not in defaults} | {OURS: defaults.pop()}
    found = [(rows, methods[name]["scores"][score][group]["auroc"]) for name, rows in names.items()]
    return sorted(found, key=lambda point: point[0])
