"""Runs are compared on the same images and seeds, wherever they are kept; what they have not in common is named."""

import dataclasses
import json
import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from pipeline.commands.compare import PARAMS, SCORE_TABLE, Run, changed_parameters, compare, load_run
from pipeline.params.infer import SCORES
from pipeline.posthoc.table_file import write_table
from pipeline.report.comparison import comparison_notes, print_comparison
from pipeline.runtime.errors import (
    ComparisonError,
    MissingInputError,
    ParamsError,
    PipelineError,
    ScoreTableError,
    SharingError,
)
from pipeline.runtime.text.terminal import Console
from tests.helpers.make import score_table, tiny_params, write_params
from tests.helpers.oracles import auroc
from tests.helpers.project import call, commit, make_repository
from tests.posthoc.make import with_scores

HEADLINE = tiny_params()["score"]["headline"]
SHIFTS = {"held_out": 1.0, "photographs": 1.5, "noise": 2.0}


def run(name="a", gain=0.0, seeds=(0, 1, 2), shifts=SHIFTS, **changes):
    return Run(name, tiny_params(**changes), score_table(shifts, gain, seeds))


def with_images(other, image_set, contents):
    table = dataclasses.replace(other.table, contents=other.table.contents | {image_set: contents})
    return dataclasses.replace(other, table=table)


def auroc_of(one, image_set, score, seed):
    rows = {name: one.table.scores["detector", name, score] for name in ("id_test", image_set)}
    place = one.table.seeds.index(seed)
    return auroc(rows["id_test"][place], rows[image_set][place])


def test_a_difference_is_the_mean_over_seeds_and_sets_of_the_second_minus_the_first():
    first, second = run(), run("b", gain=0.7)
    wanted = [
        auroc_of(second, name, "msp", seed) - auroc_of(first, name, "msp", seed)
        for seed in (0, 1, 2)
        for name in ("photographs", "noise")
    ]
    none, found = (entry["difference"] for entry in compare([first, second], ["msp"])["groups"]["far"]["msp"])
    assert none is None
    assert found["auroc"]["mean"] == pytest.approx(sum(wanted) / len(wanted))
    assert found["auroc"]["ci95"][0] < found["auroc"]["mean"] < found["auroc"]["ci95"][1]
    assert found["auroc"]["verdict"] == "better"


def test_a_set_has_mean_and_spread_of_every_run():
    runs = [run(), run("b", gain=0.7), run("c", gain=-0.7)]
    for one, entry in zip(runs, compare(runs)["sets"]["noise"][HEADLINE], strict=True):
        values = [auroc_of(one, "noise", HEADLINE, seed) for seed in one.table.seeds]
        assert entry["auroc"]["mean"] == pytest.approx(np.mean(values))
        assert entry["auroc"]["std"] == pytest.approx(np.std(values, ddof=1))


def test_a_run_does_not_differ_from_itself():
    found = compare([run(), run("b")])
    assert found["parameters"] == {}
    for entry in [*found["groups"].values(), *found["sets"].values()]:
        gain = entry[HEADLINE][1]["difference"]["auroc"]
        assert (gain["mean"], gain["ci95"], gain["verdict"]) == (0, [0, 0], "undecided")


def without_ood_images(name="a", gain=0.0):
    params = tiny_params()
    known = {image_set: chosen for image_set, chosen in params["data"]["sets"].items() if chosen["group"] == "id"}
    params["data"]["sets"] = known
    return Run(name, params, score_table({"stand_in/mixup": 1.0}, gain))


def test_runs_without_ood_images_are_compared_by_what_stands_in_for_them():
    found = compare([without_ood_images(), without_ood_images("b", gain=0.7)])
    assert (set(found["groups"]), set(found["sets"])) == ({"stand_in"}, {"stand_in/mixup"})
    assert found["sets"]["stand_in/mixup"][HEADLINE][1]["difference"]["auroc"]["verdict"] == "better"
    assert "synthetic outliers stand in for them, and their figures are optimistic." in comparison_notes(found)
    assert "synthetic" not in comparison_notes(compare([run(), run("b")]))


def test_runs_are_paired_over_the_seeds_that_all_have():
    first, second = run(seeds=(0, 1, 2)), run("b", gain=0.5, seeds=(5, 2, 1))
    report = compare([first, second])
    wanted = [auroc_of(second, "noise", HEADLINE, seed) - auroc_of(first, "noise", HEADLINE, seed) for seed in (1, 2)]
    assert report["seeds"] == [1, 2]
    assert report["sets"]["noise"][HEADLINE][1]["difference"]["auroc"]["mean"] == pytest.approx(np.mean(wanted))
    assert report["id_accuracy"][1]["mean"] == pytest.approx(np.mean(second.table.accuracy("detector")[1:]))


def test_sets_that_are_not_the_same_images_are_left_out_and_named():
    second = with_images(run("b", shifts={"held_out": 1.0, "noise": 2.0, "new": 1.0}), "noise", np.arange(60))
    report = compare([run(), second])
    assert report["left_out"] == {
        "photographs": "is not in b",
        "noise": "has other images or labels in b",
        "new": "is not in a",
    }
    assert (set(report["groups"]), set(report["sets"])) == ({"near"}, {"held_out"})


def test_the_first_run_says_what_is_near_and_far_and_by_which_score():
    moved = {"data__sets__photographs__group": "near", "score__headline": "gen"}
    report = compare([run(**moved), run("b")])
    mean = np.mean([report["sets"][name]["gen"][0]["auroc"]["mean"] for name in ("held_out", "photographs")])
    assert report["groups"]["near"]["gen"][0]["auroc"]["mean"] == pytest.approx(mean)


def test_parameters_that_differ_are_listed_and_no_others():
    runs = [run(), run("b", train__optimiser__epochs=9, seeds=(0, 1, 2)), run("c")]
    del runs[2].params["quality"]
    found = changed_parameters(runs)
    assert found.pop("train.optimiser.epochs") == [2, 9, 2]
    assert {(name.split(".")[0], values[2]) for name, values in found.items()} == {("quality", None)}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (run("b", seeds=(7,)), r"^a, b: found seeds \[0, 1, 2\] and \[7\], wanted one seed in common. Train them with"),
        (
            with_images(run("b"), "id_test", np.arange(60)[::-1]),
            "found id_test has other images or labels in b, wanted",
        ),
        (run("b", shifts={}), "found held_out is not in b; photographs is not in b; noise is not in b, wanted id_test"),
    ],
)
def test_runs_without_anything_in_common_are_refused(other, message):
    with pytest.raises(ComparisonError, match=message):
        compare([run(), other])


def of_scores(other, *names):
    return dataclasses.replace(other, table=with_scores(other.table, *names))


def test_runs_of_other_versions_are_compared_by_the_scores_that_they_share():
    earlier, later = of_scores(run(), *SCORES[1:]), of_scores(run("b", gain=0.7), *SCORES, "of_tomorrow")
    assert compare([earlier, later], SCORES[1:]) == compare([run(), run("b", gain=0.7)], SCORES[1:])
    runs = [of_scores(run(name), "msp", "of_tomorrow") for name in "ab"]
    assert compare(runs, ["of_tomorrow"])["sets"]["noise"]["of_tomorrow"][1]["difference"]["auroc"]["mean"] == 0


@pytest.mark.parametrize("asked", [["gen"], ["msp", "gen"], []])
def test_a_score_that_a_run_lacks_is_named_with_the_run_and_what_all_have(asked):
    first = of_scores(run(score__headline="gen"), "gen", "knn", "msp")
    runs = [first, of_scores(run("b"), "knn", "msp"), of_scores(run("c"), "vim", "msp", "knn")]
    found = "^a, b, c: found no score 'gen' in b, c, wanted that score in every table."
    with pytest.raises(ComparisonError, match=f"{found} Ask for a score that all have: knn, msp.$"):
        compare(runs, asked)


def test_runs_without_a_score_in_common_are_refused():
    with pytest.raises(ComparisonError, match="found no score 'msp' in b, wanted .* They have no score in common.$"):
        compare([of_scores(run(), "msp"), of_scores(run("b"), "vim")], ["msp"])


def test_a_mistyped_score_is_named():
    with pytest.raises(PipelineError, match="'enrgy' is not a score; did you mean 'energy'?"):
        compare([run(), run("b")], ["enrgy"])


def test_parameters_that_do_not_say_how_to_judge_are_refused():
    first = run()
    del first.params["score"]["bootstrap"]
    with pytest.raises(ParamsError, match="params.yaml at a: it lacks 'bootstrap', which says how runs are judged"):
        compare([first, run("b")])


def test_the_table_shows_every_run_of_every_group_and_score():
    console, second = Console(width=140, file=StringIO()), run("b[1]", gain=0.7, train__optimiser__epochs=9)
    print_comparison(compare([run(), second], ["knn", "msp"]), console)
    text = console.file.getvalue()
    assert "train.optimiser.epochs" in text
    assert text.count("b[1]") == 2 + 2 * 5
    assert all(word in text for word in ("near (mean)", "far (mean)", "held_out", "better", "ID accuracy: a "))
    assert "difference: to a, paired over seeds 0, 1, 2 and test images." in text


@pytest.fixture
def project(tmp_path):
    """A repository with a run tagged v1, one with other parameters tagged v2 that is in the cache only, one here."""
    make_repository(tmp_path)
    for name, gain in (("v1", 0.0), ("v2", 0.7)):
        record(gain, train__optimiser__epochs=2 + 7 * (name == "v2"))
        call(tmp_path, "dvc", "add", "--quiet", SCORE_TABLE.parent)
        commit(tmp_path, name)
        call(tmp_path, "git", "tag", name)
    record(-0.7)
    return tmp_path


def record(gain, **changes):
    write_params(Path(), tiny_params(**changes))
    write_table(SCORE_TABLE, score_table(SHIFTS, gain))


def test_runs_are_read_from_revisions_and_from_here(project):
    found = [load_run(name) for name in ("v1", "v2", "workspace")]
    assert [one.params["train"]["optimiser"]["epochs"] for one in found] == [2, 9, 2]
    for one, gain in zip(found, (0.0, 0.7, -0.7), strict=True):
        wanted = score_table(SHIFTS, gain).scores["detector", "noise", "knn"]
        np.testing.assert_array_equal(one.table.scores["detector", "noise", "knn"], wanted)


def test_the_command_compares_one_revision_with_what_is_here(project):
    printed = call(project, "latent-outliers", "compare", "v2", "--json", "--score", "vim")
    report, _ = json.JSONDecoder().raw_decode(printed)  # the bar comes after it
    assert (report["revisions"], [*report["sets"]["held_out"]]) == (["v2", "workspace"], ["vim"])
    assert report["sets"]["held_out"]["vim"][1]["difference"]["auroc"]["verdict"] == "worse"
    assert report["parameters"] == {"train.optimiser.epochs": [9, 2]}
    assert "by AUROC" in call(project, "latent-outliers", "compare", "v1", "v2")


def test_a_revision_that_is_not_there_or_has_no_scores_is_named(project):
    with pytest.raises(SharingError, match=r"at v9: DVC could not read it \(.*v9.*\)"):
        load_run("v9")
    shutil.rmtree(project / ".dvc/cache")
    with pytest.raises(SharingError, match="scores.parquet in this repository at v2: .*neither the cache nor a remote"):
        load_run("v2")
    (project / "data/scores.dvc").unlink()
    commit(project, "no scores")
    with pytest.raises(SharingError, match=r"data/scores/scores.parquet in this repository at HEAD: .*does not have"):
        load_run("HEAD")


def test_what_is_damaged_or_missing_here_is_named(project):
    SCORE_TABLE.write_bytes(b"PAR1")
    with pytest.raises(ScoreTableError, match=r"scores.parquet at workspace: found a damaged file"):
        load_run("workspace")
    SCORE_TABLE.unlink()
    with pytest.raises(MissingInputError, match=r"scores.parquet: not found. Run `dvc repro`"):
        load_run("workspace")
    PARAMS.write_text("- 1")
    with pytest.raises(ParamsError, match=r"params.yaml at workspace: found list, wanted sections"):
        load_run("workspace")
