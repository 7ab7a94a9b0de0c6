"""The page content of a small run, every part of which can be exchanged."""

from dataclasses import replace
from functools import cache

import numpy as np

from pipeline.params.score import ScoreParams
from pipeline.posthoc.decision import decide
from pipeline.posthoc.rival import Rival
from pipeline.report.grid import PictureRow
from pipeline.report.hardest import hardest_images
from pipeline.report.metrics_json import build_report
from pipeline.report.page.content import PageContent, RunRecord
from pipeline.report.page.stage_graph import Graph, Run, Stage
from pipeline.report.rival import rival_figures
from pipeline.report.row_pictures import SetPictures
from tests.helpers.make import changed, default_params, score_table, section
from tests.report.rival_tables import rival_table

GROUPS = {"near": ["close"], "far": ["remote", "noise"]}
PARAMS = section(ScoreParams, changed(default_params()["score"], bootstrap__replicates=100))
SHOWN = PARAMS.model_copy(update={"hardest_pictures": 4})
SPREAD = {"mean": 0.5, "std": 0.1}
QUALITY = dict.fromkeys(("passes_for_id", "confident", "entropy"), SPREAD) | {
    "beyond_all": 0.25, "own_class_distance": None, "nearest_id": 1.5, "diversity": 0.9,
}  # fmt: skip
GUARD = {
    "format": "latent-outliers-guard/2",
    "sets": {name: {"images": 60, "duplicates_within": 0} for name in ("id_train", "id_test", "close")},
    "files": {},
    "shared": [],
    "near_duplicates": {"limit": 0.25, "sets": {"id_test": {"images": 0, "examples": []}}},
}
RUN = Run(75.0, "2026-11-21T10:51:37+0000", "a470fbac0a5b", "Linux", (("numpy", "2.4.6"), ("torch", "2.13.0")))
GRAPH = Graph((Stage("encode", 6, RUN), Stage("train", None, RUN), Stage("score", None, None)), (("encode", "train"),))


def pictures(count):
    return np.random.default_rng(0).random((count, 8, 8, 3), dtype=np.float32)


@cache
class Drawn:
    """Stands in for pictures of rows."""

    def image_set(self, name, rows):
        return SetPictures(pictures(len(rows)), [f"{row:03}.jpg" for row in rows])


def whole():
    """Return content in which nothing is missing."""
    table = score_table({"close": 1.0, "remote": 2.0, "noise": 4.0}, gain=0.5)
    metrics = build_report(table, GROUPS, decide(table, PARAMS.headline, PARAMS.id_rejection), PARAMS)
    shifts = {"msp": 1.0, "knn": 0.5, "mahalanobis_pp": 0.0}
    metrics["rival"] = rival_figures(Rival("cnn", rival_table(table, shifts)), table, GROUPS, PARAMS)
    epochs = [{"learning_rate": 0.1, "cross_entropy": loss, "info_nce": loss / 2} for loss in (1.0, 0.1, 0.01)]
    return PageContent(
        metrics=metrics,
        table=table,
        guard=GUARD,
        quality={"id_validation": QUALITY, "methods": {"mixup": QUALITY, "shuffle": QUALITY}},
        histories={"teacher": {0: epochs, 1: epochs}, "detector": {0: epochs, 1: epochs}},
        outliers={
            "mixup": (PictureRow("parent", pictures(3), ["x", "y", "z"]), PictureRow("outlier", pictures(3), []))
        },
        hardest=hardest_images(table, metrics, SHOWN, Drawn()),
        decoded=True,
        run_record=RunRecord(GRAPH, "seeds: [0]\n", "a machine"),
    )


@cache
def stood_in():
    """Return content of a run without OOD images, in which outliers of two kinds stand in for them."""
    trained_on = {"stand_in/mixup": True, "stand_in/mixup_spherical": False}
    table = score_table(dict.fromkeys(trained_on, 2.0), gain=0.5)
    stand_in = {"trained_on": trained_on, "left_out": {}, "caution": "Mind this."}
    decisions = decide(table, PARAMS.headline, PARAMS.id_rejection)
    metrics = build_report(table, {"stand_in": [*trained_on]}, decisions, PARAMS, stand_in=stand_in)
    hardest = hardest_images(table, metrics, SHOWN, Drawn())
    return replace(whole(), metrics=metrics, table=table, hardest=hardest)


def content(**changes):
    return replace(whole(), **changes)


def with_names(name):
    """Return content in which everything that a user names has this name."""
    table = score_table({name: 1.0})
    object.__setattr__(table, "class_names", (name,) * 3)
    entry = whole().metrics["sets"]["close"]
    metrics = whole().metrics | {
        "sets": {name: entry},
        "groups": {"near": entry},
        "warnings": [name],
        "sizes": {name: 1},
    }
    metrics["threshold"] = metrics["threshold"] | {"ood_detected": {name: 0.5}}
    guard = {
        "sets": {name: {"images": 1, "duplicates_within": 1}},
        "files": {
            name: {
                "found": 3,
                "sets": {name: 1},
                "beyond_limits": 0,
                "in_no_set": 0,
                "skipped": {name: 2},
                "repeated": 0,
            }
        },
        "shared": [{"a": name, "b": name, "images": 1, "examples": []}],
        "near_duplicates": {"limit": 1.0, "sets": {name: {"images": 1, "examples": [[0, 0, 0.5]]}}},
    }
    return content(
        metrics=metrics,
        table=table,
        guard=guard,
        quality={"id_validation": QUALITY, "methods": {name: QUALITY}},
        histories={"teacher": {0: [{name: 1.0}]}, "detector": {}},
        outliers={name: (PictureRow(name, pictures(1), [name]),)},
        hardest=hardest_images(table, metrics, SHOWN.model_copy(update={"hardest_pictures": 2}), Drawn()),
        run_record=RunRecord(GRAPH, name, name),
    )
