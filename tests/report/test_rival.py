"""The rival's figures are those that loops find, by its best score, and its sentences say no more than they."""

import numpy as np
import pytest

from pipeline.params.rival import TITLES
from pipeline.posthoc.rival import SIDE, Rival
from pipeline.report.rival import rival_figures
from pipeline.runtime.errors import PipelineError
from tests.helpers.make import score_table
from tests.report.rival_tables import rival_table
from tests.report.test_metrics_json import PARAMS, printed, reported

SETS = {"close": 0.5, "distant": 2.0, "noise": 3.0}
GROUPS = {"near": ["close"], "far": ["distant", "noise"]}
DETECTOR = score_table(SETS, gain=1.0)
KNN_BEST = {"msp": 0.2, "knn": 1.0, "mahalanobis_pp": -0.5}


def figures(shifts=KNN_BEST, kind="cnn", seeds=None, detector=DETECTOR, groups=GROUPS):
    return rival_figures(Rival(kind, rival_table(detector, shifts, seeds)), detector, groups, PARAMS)


def auroc(known, others):
    """The share of pairs in which the outlier has the larger score, a tie being half."""
    pairs = [(other > score) + 0.5 * (other == score) for score in known for other in others]
    return sum(pairs) / len(pairs)


def test_the_best_score_is_taken_and_its_figures_are_means_over_sets_then_seeds():
    found, table = figures(), rival_table(DETECTOR, KNN_BEST)
    assert (found["score"], found["seeds"], found["title"]) == ("knn", 3, TITLES["cnn"])
    for group, members in GROUPS.items():
        per_seed = [
            np.mean([
                auroc(table.scores[SIDE, "id_test", "knn"][seed], table.scores[SIDE, name, "knn"][seed])
                for name in members
            ])
            for seed in range(3)
        ]  # fmt: skip
        entry = found["groups"][group]
        assert entry["rival"]["auroc"]["mean"] == pytest.approx(np.mean(per_seed))
        assert entry["rival"]["auroc"]["std"] == pytest.approx(np.std(per_seed, ddof=1))
        gain = entry["detector"]["auroc"]["mean"] - entry["rival"]["auroc"]["mean"]
        assert entry["difference"]["auroc"]["mean"] == pytest.approx(gain)
    hits = table.predicted[SIDE, "id_test"] == table.labels["id_test"]
    assert found["id_accuracy"]["mean"] == pytest.approx(hits.mean())


def test_shares_are_those_above_each_seeds_threshold():
    found, table = figures(), rival_table(DETECTOR, KNN_BEST)
    shares = {name: [] for name in ("id_test", *SETS)}
    for seed in range(3):
        validation = sorted(table.scores[SIDE, "id_validation", "knn"][seed])
        allowed = int(PARAMS.id_rejection * len(validation) + 1e-9)
        threshold = (validation[-1 - allowed] + validation[-allowed]) / 2
        for name, of_set in shares.items():
            of_set.append(np.mean([score > threshold for score in table.scores[SIDE, name, "knn"][seed]]))
    assert found["rejected"] == pytest.approx(np.mean(shares.pop("id_test")))
    assert found["flagged"] == {name: pytest.approx(np.mean(of_set)) for name, of_set in shares.items()}


def test_a_regression_is_the_same_beside_each_seed():
    found = figures(kind="regression", seeds=(0,))
    alone = rival_table(DETECTOR, KNN_BEST, (0,))
    wanted = auroc(alone.scores[SIDE, "id_test", "knn"][0], alone.scores[SIDE, "close", "knn"][0])
    assert found["seeds"] == 1
    assert found["groups"]["near"]["rival"]["auroc"] == {"mean": pytest.approx(wanted), "std": None}
    assert found["groups"]["near"]["detector"]["auroc"]["std"] > 0


@pytest.mark.parametrize(
    ("rival", "words"),
    [
        (-3.0, "is better than it on near outliers"),
        (5.0, "is worse than it on near outliers"),
    ],
)
def test_sentences_say_who_is_better(rival, words):
    first, second, third = figures({"msp": rival, "knn": rival - 9, "mahalanobis_pp": rival - 9})["sentences"]
    assert first.startswith(
        "What one would take instead is a plain CNN on pixels: of 100 images of other things it flags "
    )
    assert " of close, " in first
    assert second.startswith(f"The detector {words}")
    assert third == "The rival is given the best of its scores on these sets, MSP."


def test_without_images_of_other_things_there_is_only_accuracy():
    detector = score_table({"stand_in/mixup": 1.0})
    table = rival_table(detector, KNN_BEST)
    for of_images in (table.labels, table.contents):
        of_images.pop("stand_in/mixup")
    found = rival_figures(Rival("cnn", table), detector, {"stand_in": ["stand_in/mixup"]}, PARAMS)
    assert (found["groups"], found["sets"], found["flagged"]) == ({}, {}, {})
    (sentence,) = found["sentences"]
    assert "flags" not in sentence
    assert "wrongly rejects" in sentence


def test_scores_of_other_images_or_seeds_are_refused():
    other = rival_table(DETECTOR, KNN_BEST)
    other.contents["close"] = other.contents["close"] + 1
    with pytest.raises(
        PipelineError, match="rival's scores of close are of other images or seeds; run `dvc repro rival"
    ):
        rival_figures(Rival("cnn", other), DETECTOR, GROUPS, PARAMS)
    with pytest.raises(PipelineError, match="other images or seeds"):
        figures(seeds=(0, 1))


def test_the_terminal_shows_it_below_the_verdict_and_in_a_table_below_the_first(tmp_path):
    report = reported(DETECTOR, GROUPS) | {"rival": figures()}
    text = printed(report, tmp_path)
    _, verdict, _ = text.strip().split("\n\n", 2)
    assert " ".join(verdict.split()).endswith(" ".join(report["rival"]["sentences"]).split()[-1])
    first, second = text.split("rival: a plain CNN on pixels (3 seeds), by k-NN")
    near = report["rival"]["groups"]["near"]
    assert f"{100 * near['rival']['auroc']['mean']:.1f}" in second
    assert f"{100 * near['difference']['auroc']['mean']:+.1f}" in second
    assert "AUROC rival" in second
    assert second.index("near (mean)") < second.index("far (mean)")
    assert "AUROC rival" not in first


def test_without_a_rival_nothing_is_said_of_one(tmp_path):
    assert "rival" not in printed(reported(DETECTOR, GROUPS), tmp_path)
