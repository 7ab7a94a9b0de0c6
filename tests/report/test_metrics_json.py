"""The report holds what the schema promises, computed from the scores and nothing else."""

import json
from io import StringIO

import numpy as np
import pytest

from pipeline.params.infer import SCORES
from pipeline.params.score import ScoreParams
from pipeline.posthoc.decision import decide
from pipeline.posthoc.metrics import Metrics, metrics
from pipeline.report.metrics_json import build_report
from pipeline.report.plots import write_plots
from pipeline.report.sentences import score_name
from pipeline.report.tables import print_results
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import json_bytes
from pipeline.runtime.report_file import read_report
from pipeline.runtime.text.terminal import Console
from tests.helpers.make import changed, default_params, score_table, section
from tests.posthoc.make import with_scores

GROUPS = {"near": ["close"], "far": ["remote", "noise"]}
PARAMS = section(ScoreParams, changed(default_params()["score"], bootstrap__replicates=100))
TABLE = score_table({"close": 1.0, "remote": 2.0, "noise": 4.0}, gain=0.5)


def reported(table=TABLE, groups=GROUPS, stand_in=None, **changes):
    params = PARAMS.model_copy(update=changes)
    decisions = decide(table, params.headline, params.id_rejection)
    return build_report(table, groups, decisions, params, stand_in=stand_in)


@pytest.fixture(scope="module")
def report():
    return reported()


def test_every_promised_key_is_there(report):
    assert report["format"] == "latent-outliers-metrics/1"
    assert (report["seeds"], report["score"]) == ([0, 1, 2], PARAMS.headline)
    assert set(report["groups"]) == {"near", "far"}
    assert set(report["sets"]) == {"close", "remote", "noise"}
    assert report["sizes"] == dict.fromkeys(["id_validation", "id_test", "close", "remote", "noise"], 60)
    for entry in [*report["groups"].values(), *report["sets"].values()]:
        assert tuple(entry) == SCORES
        for values in entry.values():
            for side in ("baseline", "detector"):
                assert tuple(values[side]) == Metrics._fields
                assert all(0 <= value["mean"] <= 1 and value["std"] >= 0 for value in values[side].values())
            assert {"auroc", "fpr95_ood_pos"} <= set(values["difference"])
            for gain in values["difference"].values():
                assert gain["ci95"][0] <= gain["mean"] <= gain["ci95"][1]


def test_the_scores_are_those_of_the_table():
    found = reported(with_scores(TABLE, PARAMS.headline, "of_tomorrow"))
    for entry in [*found["groups"].values(), *found["sets"].values(), *found["artefacts"].values()]:
        assert tuple(entry) == (PARAMS.headline, "of_tomorrow")


def test_a_set_is_the_mean_and_spread_of_its_metrics_over_seeds(report):
    pairs = zip(TABLE.scores["detector", "id_test", "msp"], TABLE.scores["detector", "close", "msp"], strict=True)
    wanted = [metrics(known, unknown).auroc for known, unknown in pairs]
    entry = report["sets"]["close"]["msp"]["detector"]["auroc"]
    assert entry["mean"] == pytest.approx(sum(wanted) / 3)
    assert entry["std"] == pytest.approx(np.sqrt(sum((value - entry["mean"]) ** 2 for value in wanted) / 2))


def test_a_group_is_the_unweighted_mean_of_its_sets(report):
    for name in ("auroc", "fpr95_ood_pos"):
        sets = [report["sets"][image_set]["knn"]["detector"][name]["mean"] for image_set in GROUPS["far"]]
        assert report["groups"]["far"]["knn"]["detector"][name]["mean"] == pytest.approx(sum(sets) / 2)


@pytest.mark.parametrize("name", ["auroc", "fpr95_ood_pos", "fpr95_id_pos"])
def test_the_difference_is_detector_minus_baseline(report, name):
    for entry in [*report["groups"].values(), *report["sets"].values()]:
        values = entry["energy"]
        wanted = values["detector"][name]["mean"] - values["baseline"][name]["mean"]
        assert values["difference"][name]["mean"] == pytest.approx(wanted, abs=1e-6)


def test_accuracy_is_that_of_the_predictions_on_id_test(report):
    hits = (TABLE.predicted["detector", "id_test"] == TABLE.labels["id_test"]).mean(1)
    assert report["id_accuracy"]["detector"]["mean"] == pytest.approx(hits.mean())


def test_the_threshold_says_what_it_does_on_every_set(report):
    threshold = report["threshold"]
    assert (threshold["score"], threshold["id_rejection_target"]) == (PARAMS.headline, PARAMS.id_rejection)
    assert set(threshold["values"]) == {"0", "1", "2"}
    for name, share in {"id_test": threshold["id_rejection_test"], **threshold["ood_detected"]}.items():
        rows = TABLE.scores["detector", name, PARAMS.headline]
        wanted = [(rows[index] > threshold["values"][str(index)]).mean() for index in range(3)]
        assert share == pytest.approx(np.mean(wanted))


def test_a_group_without_sets_is_left_out():
    assert set(reported(groups={"near": [], "far": ["noise"]})["groups"]) == {"far"}


def test_harmless_probes_give_no_warning(report):
    assert set(report["artefacts"]) == {"reencoded", "jpeg"}
    assert 0.4 < report["artefacts"]["jpeg"]["knn"]["baseline"]["auroc"]["mean"] < 0.6
    assert report["warnings"] == []


def test_a_detector_that_tells_jpeg_from_id_is_warned_of():
    table = score_table({"close": 1.0, "probe/jpeg": 1.5})
    found = reported(table, {"near": ["close"], "far": []})["warnings"]
    assert [warning.split(":")[0] for warning in found] == ["baseline", "detector"]
    assert "ID test images that were saved as JPEG score as outliers (AUROC 0.8" in found[1]
    assert reported(table, {"near": ["close"], "far": []}, artefact_auroc=0.95)["warnings"] == []


def test_plots_are_written_for_every_set(tmp_path):
    write_plots(tmp_path, TABLE, list(GROUPS["far"]), "msp")
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.csv")}
    assert names == {f"{kind}/{name}.csv" for kind in ("roc", "histogram") for name in GROUPS["far"]}
    curve = np.loadtxt(tmp_path / "roc/noise.csv", delimiter=",", skiprows=1)
    assert (np.diff(curve, axis=0) >= 0).all()
    np.testing.assert_array_equal(curve[-1], 1)
    shares = np.loadtxt(tmp_path / "histogram/noise.csv", delimiter=",", skiprows=1)[:, 1:].sum(0)
    np.testing.assert_allclose(shares, 1, atol=1e-3)


def printed(report, tmp_path, **options):
    path = tmp_path / "metrics.json"
    path.write_bytes(json_bytes(report))
    out = StringIO()
    print_results(path, Console(out, width=180), **options)
    return out.getvalue()


def test_the_table_shows_groups_first_with_spread_interval_and_verdict(report, tmp_path):
    text = printed(report, tmp_path)
    assert text.index("near (mean)") < text.index("far (mean)") < text.rindex("remote  ")
    gain = report["groups"]["near"][PARAMS.headline]["difference"]["auroc"]
    assert f"{100 * gain['mean']:+.1f} [{100 * gain['ci95'][0]:+.1f}, {100 * gain['ci95'][1]:+.1f}]" in text
    assert gain["verdict"] in text
    assert "ID accuracy: baseline " in text


def test_plain_words_come_first_then_the_verdict_and_other_scores_when_asked_for(report, tmp_path):
    text = printed(report, tmp_path)
    assert "\\" not in text  # its own signs, such as the minus, are not escaped
    words, verdict, _ = text.strip().split("\n\n", 2)
    assert words.split("\n") == report["plain_words"]
    assert verdict.startswith(f"By the {score_name(PARAMS.headline)} score the detector is ")
    assert [text.count("vim"), printed(report, tmp_path, all_scores=True).count("vim")] == [0, 5]


def test_without_ood_images_the_threshold_is_told_and_nothing_claimed(tmp_path):
    found = reported(score_table({}), {"near": [], "far": []})
    assert (found["groups"], found["sets"], found["threshold"]["ood_detected"]) == ({}, {}, {})
    assert 0 < found["threshold"]["id_rejection_test"] < 0.3
    text = printed(found, tmp_path)
    assert "No image set of outliers was scored, so nothing is known of the detector" in text
    assert "of ID test; no OOD images were scored." in text
    assert "AUROC baseline" not in text


STAND_INS = {"stand_in/mixup": True, "stand_in/gaussian": False}


@pytest.fixture
def stood_in():
    """The report of a run in which outliers of two kinds stand in for OOD images, and those of a third cannot."""
    stand_in = {"trained_on": STAND_INS, "left_out": {"stand_in/perturb": "Too few."}, "caution": "Mind this."}
    return reported(score_table(dict.fromkeys(STAND_INS, 2.0), gain=0.5), {"stand_in": [*STAND_INS]}, stand_in)


def test_stand_ins_have_the_figures_of_any_set_and_a_caution(stood_in, report):
    assert (set(stood_in["groups"]), set(stood_in["sets"])) == ({"stand_in"}, set(STAND_INS))
    assert set(stood_in) - set(report) == {"stand_in"}
    assert set(stood_in["threshold"]["ood_detected"]) == set(STAND_INS)
    assert stood_in["warnings"] == ["Mind this.", "stand_in/perturb was left out: Too few."]


def test_the_table_of_stand_ins_says_that_they_are_none_of_the_real_thing(stood_in, tmp_path):
    text = printed(stood_in, tmp_path)
    by = score_name(PARAMS.headline)
    assert f"stand-ins for OOD images, no real ones: detection by the {by} score, in percent" in text
    assert text.index("stand_in (mean)") < text.index("stand_in/gaussian (new kind)")
    assert "stand_in/mixup (trained kind)" in text
    assert "of stand_in/gaussian" in text
    assert "Warning: Mind this." in text


def test_where_nothing_can_stand_in_this_is_said_and_nothing_claimed(tmp_path):
    stand_in = {"trained_on": {}, "left_out": {"stand_in/perturb": "Too few."}, "caution": "Mind this."}
    found = reported(score_table({}), {"stand_in": []}, stand_in)
    assert (found["groups"], found["sets"], found["threshold"]["ood_detected"]) == ({}, {}, {})
    text = printed(found, tmp_path)
    assert "nothing is known of the detector" in text
    assert "Warning: stand_in/perturb was left out: Too few." in text


def test_without_any_set_plots_are_files_without_lines(tmp_path):
    write_plots(tmp_path, TABLE, [], "knn")
    assert (tmp_path / "roc/none.csv").read_text().split() == ["id_flagged,baseline,detector"]
    assert (tmp_path / "histogram/none.csv").read_text().split() == ["score,id_test,ood"]


def test_the_table_ends_with_its_warnings(tmp_path):
    table = score_table({"close": 1.0, "probe/reencoded": 1.5})
    text = printed(reported(table, {"near": ["close"], "far": []}), tmp_path)
    assert "Warning: detector: ID test images that were decoded and encoded again score as outliers" in text


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
