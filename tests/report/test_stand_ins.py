"""Figures on stand-ins come with a caution, which says what the detector was trained on."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.params.sets import ImageSets
from pipeline.report.stand_ins import caution, describe_stand_ins, groups_of
from pipeline.runtime.errors import PipelineError, UnfinishedStoreError
from pipeline.runtime.files import write_json
from tests.helpers.make import SPACE, score_table, write_store

SETS = ["stand_in/mixup", "stand_in/mixup_channels", "stand_in/gaussian"]


def store(name, *methods):
    """Write a store whose rows were made by these methods."""
    return write_store(
        Path(name), np.zeros((2, *SPACE.shape), np.float16), {}, "outliers", ("a",), method_names=methods
    )


@pytest.fixture
def scores():
    for name, methods in zip(SETS, (["mixup/linear", "mixup/masked"], ["mixup/channels"], ["gaussian"]), strict=True):
        store(f"scores/{name}", *methods)
    write_json(Path("scores/stand_in/report.json"), {"format": "latent-outliers-stand-in/1", "left_out": {"a": "why"}})
    return Path("scores")


def test_stand_ins_are_one_group_and_nothing_else_is_in_it():
    assert groups_of(score_table(dict.fromkeys(SETS, 1.0)), ImageSets(sets={})) == {"stand_in": SETS}
    assert groups_of(score_table({"noise": 1.0}), ImageSets(sets={})) == {"stand_in": []}


@pytest.mark.parametrize(
    ("methods", "trained_on"),
    [
        (["mixup/linear", "mixup/masked"], [True, False, False]),
        (["mixup/spherical", "mixup/masked"], [True, False, False]),  # one of its methods is enough
        (["perturb"], [False, False, False]),
        (["mixup/channels", "gaussian"], [False, True, True]),
        ([], [False, False, False]),
    ],
)
def test_a_kind_was_trained_on_where_a_store_has_rows_made_alike_imported_or_not(scores, methods, trained_on):
    stores = [store("own", "label_mixup"), store("imported", *methods)]
    found = describe_stand_ins(scores, SETS, stores)
    assert found["trained_on"] == dict(zip(SETS, trained_on, strict=True))
    assert found["left_out"] == {"a": "why"}
    assert found["caution"] == caution(found["trained_on"])


def test_the_caution_says_which_kinds_are_new_and_what_to_do():
    said = caution({"stand_in/mixup": True, "stand_in/shuffle": True, "stand_in/gaussian": False})
    like = "on outliers like stand_in/mixup and stand_in/shuffle, and on none like stand_in/gaussian"
    assert f"The detector was trained {like}. Such figures are" in said
    assert (
        "optimistic and no promise for real OOD images. Add images of other things, as a source of kind folder" in said
    )


def test_the_caution_is_silent_on_kinds_that_there_are_none_of():
    assert "trained on outliers like stand_in/mixup. Such" in caution({"stand_in/mixup": True})
    assert "trained on none like stand_in/mixup. Such" in caution({"stand_in/mixup": False})
    assert caution({}).startswith(
        "There are no OOD images, and nothing could stand in for them: detection was not measured"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not found; run `dvc repro`"),
        ("{", "found no report in it"),
        ('{"format": "x"}', "its format is 'x'"),
        ('{"format": "latent-outliers-stand-in/1"}', "it lacks left_out; run `dvc repro --force infer`"),
    ],
)
def test_scores_of_an_older_run_or_damaged_ones_are_refused(scores, content, message):
    (scores / "stand_in/report.json").unlink()
    if content:
        (scores / "stand_in/report.json").write_text(content)
    with pytest.raises(PipelineError, match=f"scores/stand_in/report.json: {message}"):
        describe_stand_ins(scores, SETS, [])


def test_a_store_that_is_gone_is_named(scores):
    (scores / "stand_in/mixup/manifest.json").unlink()
    with pytest.raises(UnfinishedStoreError, match="scores/stand_in/mixup"):
        describe_stand_ins(scores, SETS, [])
