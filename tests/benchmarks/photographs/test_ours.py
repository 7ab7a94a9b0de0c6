"""Our contestants run as a user runs them; seconds, parameters and figures are those of the run."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.photographs.ours import require_same_figures, require_same_images, seed_result, stage_seconds
from benchmarks.photographs.project import costs, required
from pipeline.commands.compose import preset_text
from pipeline.posthoc.metrics import metrics
from pipeline.posthoc.table import SIDES, ScoreTable
from pipeline.runtime.errors import PipelineError
from tests.helpers.make import ROOT

SETS = ("id_validation", "id_test", "near", "far")


def table(seeds=(0, 4), images=20):
    rng = np.random.default_rng(0)
    sets = (*SETS, "probe/jpeg")
    return ScoreTable(
        seeds=seeds,
        class_names=("a", "b"),
        weights=dict.fromkeys(seeds, ""),
        labels={name: np.arange(images) % 2 for name in sets},
        contents={name: np.arange(images) for name in sets},
        scores={
            (side, name, score): rng.standard_normal((len(seeds), images))
            for side in SIDES for name in sets for score in ("msp", "knn")
        },
        predicted={(side, name): rng.integers(0, 2, (len(seeds), images)) for side in SIDES for name in sets},
    )  # fmt: skip


def metrics_json(results):
    means = {group: np.mean([one["scores"]["knn"][group]["auroc"] for one in results]) for group in ("near", "far")}
    groups = {group: {"knn": {"detector": {"auroc": {"mean": mean}}}} for group, mean in means.items()}
    return {"score": "knn", "groups": groups}


def test_a_stage_lasts_until_the_next_begins():
    lines = [
        (10.0, ""),
        (12.0, "Running stage 'encoder':"),
        (12.5, "> python -m stages.encoder"),
        (20.0, "Running stage 'encode@id_train':"),
        (23.0, "Running stage 'encode@id_test':"),
        (24.0, "Running stage 'score':"),
        (30.0, ""),
    ]
    assert stage_seconds(lines) == {"dvc": 2.0, "encoder": 8.0, "encode": 4.0, "score": 6.0}


def test_without_a_stage_all_is_dvc():
    assert stage_seconds([(1.0, ""), (3.5, "Data and pipelines are up to date."), (4.0, "")]) == {"dvc": 3.0}


def test_both_sides_of_a_seed_are_judged_by_every_score():
    of = table()
    found = seed_result(of, 1, "knn", 0.05)
    assert set(found["scores"]) == {"msp", "knn"}
    wanted = metrics(of.scores["detector", "id_test", "knn"][1], of.scores["detector", "far", "knn"][1])
    assert found["scores"]["knn"]["far"]["auroc"] == wanted.auroc
    assert found["id_accuracy"] == of.accuracy("detector")[1]
    assert found["teacher"]["id_accuracy"] == of.accuracy("baseline")[1]
    assert list(found["ranks"]) == ["knn"]


def test_figures_that_are_not_those_of_metrics_json_are_refused():
    results = [seed_result(table(), index, "knn", 0.05) for index in range(2)]
    report = metrics_json(results)
    require_same_figures(Path("project"), report, results)
    report["groups"]["far"]["knn"]["detector"]["auroc"]["mean"] += 0.01
    with pytest.raises(PipelineError, match=re.escape("project: far AUROC")):
        require_same_figures(Path("project"), report, results)


def test_scores_of_other_images_are_refused():
    contents = {name: np.arange(20) for name in (*SETS, "foreign")}
    require_same_images(Path("project"), contents, table())
    with pytest.raises(PipelineError, match="its scores of near are of other images"):
        require_same_images(Path("project"), contents | {"near": np.arange(20)[::-1]}, table())


@pytest.fixture
def params():
    Path("params.yaml").write_text(preset_text(ROOT / "presets/imagefolder.yaml"))
    return Path("params.yaml")


@pytest.mark.parametrize("folder", [None, Path("nowhere")])
def test_a_backbone_that_is_not_there_says_how_to_make_it(folder):
    with pytest.raises(PipelineError, match=re.escape("python -m benchmarks.weights.efficientnet_lite0 FOLDER")):
        required(folder)


def test_costs_count_processor_time_of_this_process():
    with costs() as spent:
        sum(index * index for index in range(10**6))
    assert spent["cpu_seconds"] <= spent["seconds"] + 0.1
    assert set(spent) == {"seconds", "cpu_seconds", "load"}
