"""A rival comes back as it was written, none as none, and anything else under its name is refused in one line."""

from pathlib import Path

import pytest

from pipeline.posthoc.rival import CARD, read_rival, write_rival
from pipeline.posthoc.table_file import TABLE, read_table
from pipeline.runtime.errors import ModelError, ScoreTableError
from pipeline.runtime.files import write_json
from tests.helpers.make import score_table
from tests.posthoc.test_table_file import require_same
from tests.report import rival_tables

FOLDER = Path("rival")
RIVAL = rival_tables.rival_table(score_table({"close": 1.0}), {"msp": 1.0, "knn": 2.0, "mahalanobis_pp": 0.5})


def test_a_rival_comes_back_as_it_was_written():
    write_rival(FOLDER, "cnn", RIVAL)
    kind, table = read_rival(FOLDER)
    assert kind == "cnn"
    require_same(table, RIVAL)


def test_none_comes_back_as_none():
    write_rival(FOLDER, "none", None)
    assert [path.name for path in FOLDER.iterdir()] == [CARD]
    assert read_rival(FOLDER) is None


def test_the_detectors_table_is_no_rivals_nor_the_other_way_round():
    write_rival(FOLDER, "cnn", RIVAL)
    with pytest.raises(ScoreTableError, match="found scores by rival, wanted those by baseline, detector"):
        read_table(FOLDER / TABLE)


@pytest.mark.parametrize("content", [{}, {"format": "latent-outliers-rival/1", "kind": "oracle"}, []])
def test_another_card_is_refused(content):
    write_json(FOLDER / CARD, content)
    with pytest.raises(ModelError, match=r"rival.json: no card of a rival could be read .* Run `dvc repro rival`"):
        read_rival(FOLDER)


def test_a_cut_card_a_missing_card_and_a_missing_table_are_refused():
    write_rival(FOLDER, "regression", RIVAL)
    content = (FOLDER / CARD).read_bytes()
    (FOLDER / TABLE).unlink()
    with pytest.raises(ScoreTableError, match="no such file, wanted a table of scores. Run `dvc repro rival`"):
        read_rival(FOLDER)
    for kept in (0, 1, len(content) // 2):
        (FOLDER / CARD).write_bytes(content[:kept])
        with pytest.raises(ModelError, match="no card of a rival could be read"):
            read_rival(FOLDER)
    (FOLDER / CARD).unlink()
    with pytest.raises(ModelError, match="no card of a rival could be read"):
        read_rival(FOLDER)
