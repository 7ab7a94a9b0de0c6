"""The whole product, small: a real `dvc repro` in a repository of its own, then the reruns that matter."""

import json
import re
import shutil

import numpy as np
import pytest

from pipeline.detector.detector import Detector
from pipeline.params.data import DataParams
from pipeline.posthoc.table_file import read_table
from pipeline.store.reader import Store
from tests.helpers.make import section, tiny_params
from tests.helpers.project import call, stages_run

pytestmark = pytest.mark.slow

OOD = ("held_out", "photographs", "noise")
ENCODE = [f"encode@{name}" for name in ("id_train", "id_validation", "id_test", *OOD)]
METHODS = ("perturb", "mixup", "shuffle", "label_mixup")
SYNTHESIZE = [f"synthesize@{name}" for name in METHODS]
DENOISER = [f"denoiser@{name}" for name in METHODS]
HEADLINE = tiny_params()["score"]["headline"]


@pytest.fixture(scope="module")
def project(made):
    """The project that all tests share, and the stages of its first run; each test leaves it as it was."""
    return made


def test_one_command_runs_every_stage_once(project):
    _, first = project
    before = ["encoder", "guard", "views", "probe", "teacher", "pretrained_teacher", *DENOISER]
    after = ["quality", "train", "infer", "rival", "score", "bundle"]
    assert sorted(first) == sorted([*ENCODE, *before, *SYNTHESIZE, *after])


def test_the_report_keeps_its_promise(project):
    folder, _ = project
    report = json.loads((folder / "reports/metrics.json").read_text())
    assert (report["format"], report["seeds"]) == ("latent-outliers-metrics/1", [0, 1])
    assert set(report["sets"]) == set(OOD)
    assert report["sizes"] == {"id_validation": 216, "id_test": 433, "held_out": 354, "photographs": 40, "noise": 40}
    assert "near (mean)" in call(folder, "latent-outliers", "results")


def test_outliers_are_judged_before_anything_is_trained_on_them(project):
    folder, _ = project
    report = json.loads((folder / "reports/quality.json").read_text())
    assert set(report["methods"]) == set(METHODS)
    assert {path.name for path in (folder / "reports/quality").glob("*.png")} == {"methods.png", "posteriors.png"}
    assert "outliers before any training" in call(folder, "latent-outliers", "quality")


def test_a_method_waits_for_its_own_model_and_only_who_needs_one_trains_it(project):
    folder, _ = project
    for method in METHODS:
        graph = call(folder, "dvc", "dag", "--dot", f"synthesize@{method}")
        assert set(re.findall(r"denoiser@\w+", graph)) == {f"denoiser@{method}"}
        trained = (folder / "models/denoiser" / method / "denoiser.json").is_file()
        assert trained == (method == "label_mixup")


def test_pictures_and_curves_are_drawn(project):
    folder, _ = project
    plots = folder / "reports/plots"
    names = {path.relative_to(plots).as_posix() for path in plots.rglob("*.*")} - {"manifest.json"}
    assert names == {f"{kind}/{name}.csv" for kind in ("roc", "histogram") for name in OOD} | {
        f"outliers/{method}.png" for method in METHODS
    }
    shown = call(folder, "dvc", "plots", "show", "--json")
    assert all(name in shown for name in ("roc/noise.csv", "histogram/noise.csv"))


def test_outliers_say_which_latents_they_come_from(project):
    folder, _ = project
    latents, outliers = Store(folder / "data/latents/id_train"), Store(folder / "data/outliers/mixup")
    assert outliers.header.provenance["latents"] == latents.digest
    assert outliers.header.space == latents.header.space


def test_a_bundle_answers_for_the_test_images_as_the_table_does_wherever_it_lies(project, tmp_path):
    folder, _ = project
    table = read_table(folder / "data/scores/scores.parquet")
    wanted = table.scores["detector", "id_test", HEADLINE][1]
    images = section(DataParams, tiny_params()["data"]).open("id_test")
    shutil.copytree(folder / "models/bundle/1", tmp_path / "copy")
    detector = Detector.load(tmp_path / "copy")
    answers = detector.predict(map(images.read, range(len(images))))
    rounding = 1e-3 * np.ptp(wanted)
    np.testing.assert_allclose([answer.outlier_score for answer in answers], wanted, atol=rounding)
    clear = np.abs(wanted - detector.threshold) > rounding
    decided = np.array([answer.is_outlier for answer in answers])
    np.testing.assert_array_equal(decided[clear], wanted[clear] > detector.threshold)
    said = [table.class_names.index(answer.label) for answer in answers]
    assert (said == table.predicted["detector", "id_test"][1]).mean() > 0.99


def test_nothing_generated_is_seen_by_git(project):
    folder, _ = project
    assert call(folder, "git", "status", "--porcelain").split() in ([], ["??", "dvc.lock"])


def test_a_second_run_runs_nothing(project):
    folder, _ = project
    assert stages_run(call(folder, "dvc", "repro")) == []


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        (["synthesize.mixup.lam_min=0.4"], ["bundle", "infer", "quality", "score", "synthesize@mixup", "train"]),
        (
            ["denoiser.ema_decay=0.5", "probe.jpeg_quality=50"],
            ["bundle", *DENOISER, "infer", "probe", "quality", "score", "synthesize@label_mixup", "train"],
        ),
        (["data.sets.photographs.group=near", "score.headline=vim"], ["bundle", "guard", "score"]),
        (["bundle.licence=mit"], ["bundle"]),
    ],
)
def test_a_changed_parameter_reruns_what_it_can_change_and_nothing_else(project, changes, stages):
    folder, _ = project
    asked = [word for change in changes for word in ("--set-param", change)]
    assert sorted(stages_run(call(folder, "dvc", "exp", "run", *asked))) == sorted(stages)
    call(folder, "git", "checkout", "--quiet", "params.yaml")
    assert stages_run(call(folder, "dvc", "repro")) == []  # back from the run cache


@pytest.fixture(scope="module")
def experiments(project):
    """Two experiments, `usual` and one that is trained `longer`; params.yaml and outputs are left as they were."""
    folder, _ = project
    call(folder, "dvc", "exp", "run", "--name", "usual")
    call(folder, "dvc", "exp", "run", "--name", "longer", "--set-param", "train.optimiser.epochs=3")
    call(folder, "git", "checkout", "--quiet", "params.yaml")
    call(folder, "dvc", "repro")

    def told(*command):
        content, _ = json.JSONDecoder().raw_decode(call(folder, *command, "--json"))  # what is not JSON comes after it
        return content

    return told


def test_dvc_shows_how_two_experiments_differ(experiments):
    parameters = experiments("dvc", "params", "diff", "usual", "longer")
    assert parameters == {"params.yaml": {"train.optimiser.epochs": {"old": 2, "new": 3, "diff": 1}}}
    metrics = experiments("dvc", "metrics", "diff", "--all", "usual", "longer")
    assert {name: len(values) for name, values in metrics.items()} == {"reports/summary.json": 8}
    assert metrics["reports/summary.json"]["near_auroc"]["diff"] != 0
    shown = json.dumps(experiments("dvc", "exp", "show"))
    assert all(f'"name": "{name}"' in shown for name in ("usual", "longer"))


def test_dvc_draws_the_curves_of_two_experiments_over_each_other(experiments):
    plots = experiments("dvc", "plots", "diff", "usual", "longer")["data"]
    curves = {"train/0": [2, 3], "teacher/1": [2, 2], "denoiser/label_mixup": [2, 2], "encoder": [1, 1]}
    for name, epochs in curves.items():
        (plot,) = plots[f"reports/training/{name}.csv"]
        drawn, rows = json.dumps(plot["content"]), plot["content"]["data"]["values"]
        assert [[row["rev"] for row in rows].count(run) for run in ("usual", "longer")] == epochs
        assert all(f'"field": "{axis}"' in drawn for axis in ("epoch", "loss"))


def test_two_experiments_are_compared_by_name(experiments):
    report = experiments("latent-outliers", "compare", "usual", "longer")
    assert report["parameters"] == {"train.optimiser.epochs": [2, 3]}
    assert (report["seeds"], set(report["sets"]), report["left_out"]) == ([0, 1], set(OOD), {})
    metrics = experiments("dvc", "metrics", "diff", "usual", "longer")["reports/summary.json"]["near_auroc"]
    first, second = report["groups"]["near"][HEADLINE]
    assert [first["auroc"]["mean"], second["auroc"]["mean"]] == pytest.approx([metrics["old"], metrics["new"]])
    assert second["difference"]["auroc"]["mean"] == pytest.approx(second["auroc"]["mean"] - first["auroc"]["mean"])


def test_stages_made_again_from_nothing_are_the_same_bytes(project, monkeypatch):
    folder, _ = project
    before = (folder / "dvc.lock").read_text()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # a machine with another number of cores
    again = (
        "encoder",
        "guard",
        "views",
        "probe",
        "teacher",
        "denoiser@label_mixup",
        "synthesize@label_mixup",
        "synthesize@perturb",
        "quality",
        "train",
        "infer",
    )
    call(folder, "dvc", "repro", "--force", "--single-item", *again)
    assert (folder / "dvc.lock").read_text() == before
