"""The table comes back as it was written; anything else under its name is refused in one line."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.params.infer import SCORES
from pipeline.posthoc.table_file import read_table, write_table
from pipeline.runtime.errors import ScoreTableError
from pipeline.runtime.files import digest
from tests.helpers.make import score_table
from tests.helpers.parquet import read_with_broken_statistics
from tests.posthoc.make import with_scores

PATH = Path("scores.parquet")
TABLE = score_table({"near": 1.0, "a far one": 2.0}, images=7)


@pytest.fixture
def written():
    write_table(PATH, TABLE)
    return PATH


def test_a_table_comes_back_as_it_was_written(written):
    require_same(read_table(written), TABLE)


def require_same(found, wanted):
    for field in dataclasses.fields(found):
        expected, value = getattr(wanted, field.name), getattr(found, field.name)
        if isinstance(expected, dict) and field.name != "weights":
            assert set(expected) == set(value)
            for key, array in expected.items():
                np.testing.assert_array_equal(value[key], array)
                assert value[key].dtype == array.dtype
        else:
            assert expected == value


@pytest.mark.parametrize("names", [SCORES[1:], (*SCORES, "of_tomorrow"), ("of_yesterday",)])
def test_a_table_of_other_scores_than_those_of_this_version_comes_back(names):
    table = with_scores(TABLE, *names)
    write_table(PATH, table)
    found = read_table(PATH)
    require_same(found, table)
    assert found.score_names == table.score_names == names


def test_a_column_that_another_program_took_away_or_added_is_a_score_less_or_more():
    less = read_table(rewritten(lambda table: table.drop(["knn"])))
    assert less.score_names == tuple(name for name in SCORES if name != "knn")
    more = read_table(rewritten(lambda table: table.append_column("sum", pa.array(table["vim"].to_numpy() + 1))))
    assert more.score_names == (*SCORES, "sum")
    np.testing.assert_array_equal(more.scores["detector", "near", "sum"], TABLE.scores["detector", "near", "vim"] + 1)


def test_a_flipped_bit_in_the_name_of_a_score_does_not_make_it_another(written):
    content = written.read_bytes()
    positions = [match.start() for match in re.finditer(b"knn", content)]
    assert positions
    for position in positions:
        broken = bytearray(content)
        broken[position] ^= 1
        written.write_bytes(broken)
        with pytest.raises(ScoreTableError, match="damaged"):
            read_table(written)


def test_the_same_table_is_the_same_bytes(written):
    before = written.read_bytes()
    write_table(written, TABLE)
    assert written.read_bytes() == before


def test_any_reader_of_parquet_finds_an_image(written):
    rows = pq.read_table(written).to_pylist()
    assert len(rows) == 6 * 2 * 3 * 7
    row = next(r for r in rows if (r["image_set"], r["side"], r["seed"], r["row"]) == ("near", "detector", 2, 4))
    assert row["knn"] == TABLE.scores["detector", "near", "knn"][2, 4]
    assert row["predicted"] == TABLE.predicted["detector", "near"][2, 4]
    assert (row["label"], row["content"]) == (-1, TABLE.contents["near"][4])


def test_a_missing_table_says_what_to_run():
    with pytest.raises(ScoreTableError, match="scores.parquet: found no such file, wanted a table of scores. Run `dvc"):
        read_table(PATH)


@pytest.mark.parametrize("cut", [0, 1, 100, -100, -1])
def test_a_cut_table_is_refused(written, cut):
    written.write_bytes(written.read_bytes()[:cut])
    with pytest.raises(ScoreTableError, match="damaged"):
        read_table(written)


def test_a_flipped_bit_is_never_a_number(written, tell):
    content, rng, refused = written.read_bytes(), np.random.default_rng(0), 0
    wanted = read_table(written)
    for position in rng.integers(0, len(content), 200):
        broken = bytearray(content)
        broken[position] ^= 1 << int(rng.integers(8))
        written.write_bytes(broken)
        try:
            found = read_table(written)
        except ScoreTableError:
            refused += 1
            continue
        for key, values in wanted.scores.items():
            np.testing.assert_array_equal(found.scores[key], values)
    tell(f"score table: {refused} of 200 flipped bits refused, the others changed no score")
    assert refused > 150


def test_damaged_statistics_do_not_end_the_process():
    write_table(PATH, with_scores(TABLE, "knn"))
    imports = "from pipeline.posthoc.table_file import ScoreTableError, read_table"
    read_with_broken_statistics(PATH, imports, "read_table(file)", "ScoreTableError")


def rewritten(change):
    """Write the table with its Arrow columns changed."""
    write_table(PATH, TABLE)
    table = pq.read_table(PATH)
    pq.write_table(change(table), PATH)
    return PATH


def swapped(table):
    return table.take(pa.array([1, 0, *range(2, len(table))]))


def stating(**changes):
    """Change what the file says of itself, as a writer that knows better would."""

    def change(table):
        facts = json.loads(table.schema.metadata[b"latent-outliers"]) | changes
        stated = json.dumps(facts)
        return table.replace_schema_metadata(
            {"latent-outliers": stated, "latent-outliers-sha256": digest(stated.encode())}
        )

    return change


def unsigned(table):
    return table.replace_schema_metadata(table.schema.metadata | {b"latent-outliers": b"{}"})


def with_column(name, values):
    """Return a change of a column to what `values` returns for the number of rows."""
    return lambda table: table.set_column(table.column_names.index(name), name, values(len(table)))


def not_finite(table):
    broken = table["vim"].to_numpy().copy()
    broken[3] = np.nan
    return with_column("vim", lambda _: pa.array(broken))(table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(["content"]), "no column 'content'"),
        (lambda table: table.drop(list(SCORES)), "no column of scores"),
        (lambda table: table.append_column("note", table["label"]), "values of 'note' that are no finite float64"),
        (lambda table: table.slice(0, len(table) - 1), "251 rows where its metadata promise 252"),
        (swapped, "rows whose 'row' is not what its metadata promise"),
        (stating(format="latent-outliers-scores/9"), "format 'latent-outliers-scores/9', wanted 'latent-"),
        (stating(seeds="none"), "metadata of another format"),
        (stating(sets={"near": 42}), "rows whose 'image_set' is not what its metadata promise"),
        (stating(sets={"near": 7}), "252 rows where its metadata promise 42"),
        (stating(sets={"near": 10**11}), "252 rows where its metadata promise 600,000,000,000"),
        (stating(sets={"near": -7}), "metadata of another format"),
        (stating(sets={}), "metadata of another format"),
        (stating(seeds=[]), "metadata of another format"),
        (stating(class_names=[]), "a 'label' that is not -1 to -1"),
        (lambda table: table.append_column("row", table["row"]), "the column 'row' twice"),
        (with_column("label", lambda rows: pa.array(["x"] * rows)), "'label' of type string"),
        (with_column("seed", lambda rows: pa.array([[1]] * rows)), "'seed' of type list"),
        (with_column("content", lambda rows: pa.nulls(rows, pa.int64())), "rows without a value of 'content'"),
        (with_column("predicted", lambda rows: pa.array([3] * rows)), "a 'predicted' that is not 0 to 2"),
        (with_column("label", lambda rows: pa.array([-2] * rows)), "a 'label' that is not -1 to 2"),
        (unsigned, "damaged metadata"),
        (lambda table: table.replace_schema_metadata(None), "a Parquet file of something else"),
        (not_finite, "values of 'vim' that are no finite"),
        (with_column("image_set", pa.nulls), "'image_set' of type null"),
        (with_column("vim", lambda rows: pa.array(["x"] * rows)), "'vim'"),
    ],
)  # fmt: skip
def test_a_table_of_other_content_is_refused(change, message):
    with pytest.raises(ScoreTableError, match=message):
        read_table(rewritten(change))
