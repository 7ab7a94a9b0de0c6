"""Sentences say what the numbers say: no gain where the interval holds zero, no group that was not scored."""

import pytest

from pipeline.report import sentences
from tests.helpers.make import changed
from tests.report.page.make import GUARD, whole

GAINS = {"better": (0.03, 0.01, 0.05), "worse": (-0.03, -0.05, -0.01), "undecided": (0.01, -0.02, 0.04)}
NUMBERS = {
    "better": "+3.0 points of AUROC [+1.0,\xa0+5.0]",
    "worse": "\N{MINUS SIGN}3.0 points of AUROC [\N{MINUS SIGN}5.0,\xa0\N{MINUS SIGN}1.0]",
    "undecided": "+1.0 points of AUROC [\N{MINUS SIGN}2.0,\xa0+4.0]",
}


def metrics(accuracy=(0.9, 0.9), seeds=(0, 1), **verdicts):
    groups = {}
    for name, verdict in verdicts.items():
        mean, low, high = GAINS[verdict]
        groups[name] = {"knn": {"difference": {"auroc": {"mean": mean, "ci95": [low, high], "verdict": verdict}}}}
    sides = dict(zip(("baseline", "detector"), ({"mean": mean, "std": 0.01} for mean in accuracy), strict=True))
    return {"score": "knn", "groups": groups, "sets": {}, "id_accuracy": sides, "seeds": list(seeds)}


CLAIMS = {
    ("better", "better"): ("is better than its baseline on near outliers", " and on far ones"),
    ("worse", "worse"): ("is worse than its baseline on near outliers", " and on far ones"),
    ("undecided", "undecided"): ("is not shown to differ from its baseline on near outliers", " or on far ones"),
    ("better", "worse"): ("is better than its baseline on near outliers", " but worse on far ones"),
    ("better", "undecided"): ("is better than its baseline on near outliers", " but not shown to differ on far ones"),
    ("worse", "better"): ("is worse than its baseline on near outliers", " but better on far ones"),
    ("worse", "undecided"): ("is worse than its baseline on near outliers", " but not shown to differ on far ones"),
    ("undecided", "better"): ("is not shown to differ from its baseline on near outliers", " but better on far ones"),
    ("undecided", "worse"): ("is not shown to differ from its baseline on near outliers", " but worse on far ones"),
}


@pytest.mark.parametrize(("near", "far"), CLAIMS)
def test_the_verdict_claims_what_holds_of_each_group(near, far):
    first, second = CLAIMS[near, far]
    gains = NUMBERS[near], NUMBERS[far].replace(" points of AUROC", "")
    wanted = (
        f"By the k-NN score the detector {first} ({gains[0]}){second} ({gains[1]}); ID accuracy stays at 90.0\xa0%."
    )
    assert sentences.verdict_sentence(metrics(near=near, far=far)) == wanted


@pytest.mark.parametrize("group", ["near", "far"])
@pytest.mark.parametrize("verdict", GAINS)
def test_a_group_that_was_not_scored_is_not_spoken_of(group, verdict):
    said = sentences.verdict_sentence(metrics(**{group: verdict}))
    assert f"its baseline on {group} outliers ({NUMBERS[verdict]}); ID" in said
    assert {"near": "far", "far": "near"}[group] not in said


def test_without_outliers_nothing_is_claimed():
    wanted = "No image set of outliers was scored, so nothing is known of the detector; ID accuracy stays at 90.0\xa0%."
    assert sentences.verdict_sentence(metrics()) == wanted


STOOD_IN = {"trained_on": {"stand_in/mixup": True, "stand_in/gaussian": False}}


def test_a_gain_on_stand_ins_is_told_with_what_it_is_worth():
    said = sentences.verdict_sentence(metrics(stand_in="better") | {"stand_in": STOOD_IN})
    assert said.startswith("By the k-NN score the detector is better than its baseline on stand-in outliers (+3.0")
    worth = "these are synthetic, it was trained on 1 of their 2 kinds, and nothing is promised for real OOD images"
    assert f"; {worth}; ID accuracy" in said


def test_a_stand_in_is_named_with_whether_its_kind_was_trained_on():
    names = ["stand_in/mixup", "stand_in/gaussian", "noise"]
    wanted = ["stand_in/mixup (trained kind)", "stand_in/gaussian (new kind)", "noise"]
    assert [sentences.set_title({"stand_in": STOOD_IN}, name) for name in names] == wanted
    assert [sentences.set_title({}, name) for name in names] == names


def test_a_single_seed_decides_nothing():
    assert "; a single seed decides nothing; ID accuracy" in sentences.verdict_sentence(
        metrics(seeds=[0], near="undecided")
    )


@pytest.mark.parametrize("after", [0.88, 0.92])
def test_a_changed_accuracy_is_told_with_its_spread(after):
    said = sentences.verdict_sentence(metrics(accuracy=(0.9, after), near="better"))
    assert said.endswith(f"ID accuracy goes from 90.0 ± 1.0 to {100 * after:.1f} ± 1.0\xa0%.")


@pytest.mark.parametrize(
    ("share", "said"), [(0.0321, "+3.2"), (-0.0321, "\N{MINUS SIGN}3.2"), (-0.0004, "0.0"), (0.0, "0.0")]
)
def test_a_difference_has_a_sign_unless_it_rounds_to_nothing(share, said):
    assert sentences.signed(share) == said


@pytest.mark.parametrize(("value", "said"), [(1.0, "1.00"), (0.6621, "0.662"), (-12.34, "-12.3"), (1234.5, "1.23e+03")])
def test_scores_have_three_digits(value, said):
    assert sentences.three_digits(value) == said


def test_a_list_of_names_reads_as_one():
    assert [sentences.joined_words(list("abc"[:count])) for count in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_a_score_without_a_usual_name_keeps_its_own():
    assert sentences.score_name("my_score") == "my score"


def test_the_threshold_is_told_with_what_it_does():
    found = {"id_rejection_target": 0.05, "id_rejection_test": 0.044, "ood_detected": {"close": 0.862, "noise": 1.0}}
    said = sentences.threshold_sentence({"threshold": found}).replace("\xa0", " ")
    assert "reject at most 5 % of the ID validation images. It rejects 4.4 % of the ID test images" in said
    assert said.endswith("and detects 86.2 % of close and 100.0 % of noise.")
    assert sentences.threshold_sentence({"threshold": found | {"ood_detected": {}}}).endswith("of the ID test images.")


def test_clean_sets_are_called_clean():
    assert sentences.shared_sentences(GUARD) == ["No image is in two of the 3 image sets."]
    assert sentences.repeated_sentences(GUARD) == ["No image set holds an image twice."]
    near = "No image of another set is a near-duplicate of an ID training image (latent distance below 0.25)."
    assert sentences.near_duplicate_sentences(GUARD) == [near]


FILES = {
    "found": 1412, "sets": {"id_train": 1000, "held_out": 300}, "beyond_limits": 80, "in_no_set": 20, "repeated": 0,
    "skipped": {"damaged": 2, "no image": 10},
}  # fmt: skip


def test_what_became_of_every_file_is_told_as_a_sum():
    [said] = sentences.folder_sentences(GUARD | {"files": {"photos": FILES}})
    wanted = (
        "1,000 in id_train + 300 in held_out + 80 beyond limits + 20 in no set + 12 skipped (2 damaged, 10 no image)."
    )
    assert said == f"Folder of photos: 1,412 files = {wanted}"
    assert 1412 == 1000 + 300 + 80 + 20 + 12


def test_copies_are_told_where_there_are_some():
    plain = FILES | {"beyond_limits": 0, "in_no_set": 0, "skipped": {}, "repeated": 1}
    [said] = sentences.folder_sentences({"files": {"photos": plain}})
    assert said.endswith("1,000 in id_train + 300 in held_out + 0 skipped. 1 image is a copy of another.")


def test_every_leak_is_named():
    guard = changed(GUARD, sets__close__duplicates_within=3, near_duplicates__sets__id_test__images=2)
    guard["shared"] = [{"a": "id_train", "b": "id_test", "images": 1, "examples": [[0, 1]]}]
    guard["near_duplicates"]["sets"]["id_test"]["examples"] = [[3, 5, 0.125], [4, 1, 0.2]]
    assert sentences.shared_sentences(guard) == ["1 image of id_test is in id_train too."]
    assert sentences.repeated_sentences(guard) == ["Images that repeat one of the same set: close (3 of 60)."]
    wanted = "2 images of id_test are closer than 0.25 to an ID training image; the nearest is 0.125 away."
    assert sentences.near_duplicate_sentences(guard) == [wanted]


def test_artefacts_are_told_by_the_headline_score():
    metrics = whole().metrics
    found = metrics["artefacts"]
    auroc = {name: f"{100 * one[metrics['score']]['detector']['auroc']['mean']:.1f}" for name, one in found.items()}
    said = sentences.artefact_sentences(metrics)
    assert f"{auroc['reencoded']} for ID test images decoded and encoded again" in said
    assert f"{auroc['jpeg']} for ID test images saved as JPEG" in said


def test_a_set_that_is_all_of_its_group_is_told_once():
    titles = [(entry.title, entry.is_group) for entry in sentences.entries(whole().metrics)]
    assert titles == [("near: close", True), ("far (mean)", True), ("remote", False), ("noise", False)]
