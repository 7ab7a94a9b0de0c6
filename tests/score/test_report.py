"""The report holds what the schema promises, computed from the scores and nothing else."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from pipeline.errors import PipelineError
from pipeline.files import json_bytes
from pipeline.results import print_results, read_report
from pipeline.score.evaluate import Evaluation
from pipeline.score.metrics import metrics
from pipeline.score.params import ScoreParams
from pipeline.score.plots import write_plots
from pipeline.score.report import build_report
from tests.make import changed, default_params, section

GROUPS = {"near": ["close"], "far": ["remote", "noise"]}
SHIFT = {"id_validation": 0.0, "id_test": 0.0, "close": 1.0, "remote": 2.0, "noise": 4.0}
PARAMS = section(ScoreParams, changed(default_params()["score"], bootstrap__replicates=100))


@pytest.fixture(scope="module")
def found():
    rng, evaluation = np.random.default_rng(0), Evaluation()
    for side, gain in (("baseline", 1.0), ("detector", 2.0)):
        evaluation.accuracy[side] = [0.9, 0.95, 1.0]
        for name, shift in SHIFT.items():
            for score in ("msp", "energy", "knn"):
                draws = [rng.standard_normal(60) + gain * shift for _ in range(3)]
                evaluation.scores[side, name, score] = draws
    return evaluation


@pytest.fixture(scope="module")
def report(found):
    return build_report(found, (0, 1, 2), GROUPS, PARAMS)


def test_every_promised_key_is_there(report):
    assert report["format"] == "latent-outliers-metrics/1"
    assert (report["seeds"], report["score"]) == ([0, 1, 2], PARAMS.headline)
    assert set(report["groups"]) == {"near", "far"}
    assert set(report["sets"]) == {"close", "remote", "noise"}
    for entry in [*report["groups"].values(), *report["sets"].values()]:
        assert set(entry) == {"msp", "energy", "knn"}
        for values in entry.values():
            for side in ("baseline", "detector"):
                assert set(values[side]) == {"auroc", "fpr95_ood_pos", "fpr95_id_pos", "aupr_in", "aupr_out"}
                assert all(0 <= spread["mean"] <= 1 and spread["std"] >= 0 for spread in values[side].values())
            gain = values["difference"]["auroc"]
            assert gain["ci95"][0] <= gain["mean"] <= gain["ci95"][1]
            assert gain["verdict"] in ("better", "worse", "undecided")


def test_a_set_is_the_mean_and_sample_spread_over_seeds(report, found):
    pairs = zip(found.of("detector", "id_test", "msp"), found.of("detector", "close", "msp"), strict=True)
    wanted = [metrics(known, unknown).auroc for known, unknown in pairs]
    entry = report["sets"]["close"]["msp"]["detector"]["auroc"]
    assert entry["mean"] == pytest.approx(sum(wanted) / 3)
    assert entry["std"] == pytest.approx(np.sqrt(sum((value - entry["mean"]) ** 2 for value in wanted) / 2))


def test_a_group_is_the_unweighted_mean_of_its_sets(report):
    for name in ("auroc", "fpr95_ood_pos"):
        sets = [report["sets"][image_set]["knn"]["detector"][name]["mean"] for image_set in GROUPS["far"]]
        assert report["groups"]["far"]["knn"]["detector"][name]["mean"] == pytest.approx(sum(sets) / 2)


def test_the_difference_is_detector_minus_baseline(report):
    for entry in report["sets"].values():
        values = entry["energy"]
        wanted = values["detector"]["auroc"]["mean"] - values["baseline"]["auroc"]["mean"]
        assert values["difference"]["auroc"]["mean"] == pytest.approx(wanted)


def test_the_threshold_rejects_no_more_of_validation_than_asked(report, found):
    threshold = report["threshold"]
    assert threshold["id_rejection_target"] == PARAMS.id_rejection
    assert threshold["id_rejection_test"] < 0.15
    assert threshold["ood_detected"]["noise"] == 1.0
    for scores in found.of("detector", "id_validation", PARAMS.headline):
        cut = np.quantile(scores, 0.95, method="higher")
        assert (scores > cut).mean() <= PARAMS.id_rejection


def test_a_group_without_sets_is_left_out(found):
    report = build_report(found, (0, 1, 2), {"near": [], "far": ["noise"]}, PARAMS)
    assert set(report["groups"]) == {"far"}


def test_plots_are_written_for_every_set(found, tmp_path):
    write_plots(tmp_path, found, list(GROUPS["far"]), "msp")
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.csv")}
    assert names == {f"{kind}/{name}.csv" for kind in ("roc", "histogram") for name in GROUPS["far"]}
    curve = np.loadtxt(tmp_path / "roc/noise.csv", delimiter=",", skiprows=1)
    assert (np.diff(curve, axis=0) >= 0).all()
    np.testing.assert_array_equal(curve[-1], 1)
    shares = np.loadtxt(tmp_path / "histogram/noise.csv", delimiter=",", skiprows=1)[:, 1:].sum(0)
    np.testing.assert_allclose(shares, 1, atol=1e-3)


def printed(report, tmp_path):
    path = tmp_path / "metrics.json"
    path.write_bytes(json_bytes(report))
    console = Console(width=160, record=True, file=SimpleNamespace(write=lambda _: None, flush=lambda: None))
    print_results(path, console)
    return console.export_text()


def test_the_table_shows_groups_first_with_spread_interval_and_verdict(report, tmp_path):
    text = printed(report, tmp_path)
    assert text.index("near (mean)") < text.index("far (mean)") < text.index("remote")
    gain = report["groups"]["near"]["knn"]["difference"]["auroc"]
    assert f"{100 * gain['mean']:+.1f} [{100 * gain['ci95'][0]:+.1f}, {100 * gain['ci95'][1]:+.1f}]" in text
    assert gain["verdict"] in text
    assert "ID accuracy: baseline 95.0 ± 5.0, detector 95.0 ± 5.0." in text


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "not found; run `dvc repro`"), ("{", "found no report in it"), ('{"format": "x"}', "its format is 'x'")],
)
def test_a_file_that_is_no_report_is_refused(tmp_path, content, message):
    path = tmp_path / "metrics.json"
    if content:
        path.write_text(content)
    with pytest.raises(PipelineError, match=message):
        read_report(path, "latent-outliers-metrics/1", "score")


def test_the_report_is_plain_json(report):
    assert json.loads(json_bytes(report)) == report
