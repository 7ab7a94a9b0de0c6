"""Rows are written as they come, and an unfinished file is never taken for a finished one."""

import platform
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.detector import prediction_file
from pipeline.detector.prediction_file import COLUMNS, open_output


def test_what_a_killed_process_left_of_a_table_goes_with_the_next_one():
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    Path(f"out.csv.{platform.node()}.{gone.pid}.partial").write_text("half")
    with open_output(Path("out.csv"), 0.75):
        pass
    assert [path.name for path in Path().iterdir()] == ["out.csv"]


def test_row_groups_are_written_as_they_fill(monkeypatch):
    monkeypatch.setattr(prediction_file, "ROWS_PER_GROUP", 4)
    with open_output(Path("out.parquet"), 0.75) as out:
        for start in (0, 3, 6, 9):
            out.write([(str(index), "a", 0.5, 1.0, True, None) for index in range(start, min(start + 3, 10))])
    written = pq.ParquetFile("out.parquet")
    assert [written.metadata.row_group(group).num_rows for group in range(3)] == [4, 4, 2]
    assert written.read().column("file").to_pylist() == [str(index) for index in range(10)]


AWKWARD = [(name, name, 0.5, 1.0, False, None) for name in ("=1+1", "a\rb", "c\nd", "\x1b[2J", "猫")]


def test_a_row_of_csv_is_a_line_and_no_cell_is_a_formula():
    with open_output(Path("out.csv"), 0.75) as out:
        out.write(AWKWARD)
    lines = Path("out.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["file", "'=1+1", r"a\rb", r"c\nd", r"\x1b[2J", "猫"]
    assert lines[:2] == [
        "file,label,probability,outlier_score,is_outlier,threshold,error",
        "'=1+1,'=1+1,0.5,1,False,0.75,",
    ]


def test_numbers_in_csv_have_six_digits_and_in_parquet_all():
    row = ("a", "b", 0.123456789, 12345.6789, True, None)
    for name in ("out.csv", "out.parquet"):
        with open_output(Path(name), 1 / 3) as out:
            out.write([row, ("c", None, None, None, None, "broken")])
    assert Path("out.csv").read_text().splitlines()[1:] == [
        "a,b,0.123457,12345.7,True,0.333333,",
        "c,,,,,0.333333,broken",
    ]
    assert pq.read_table("out.parquet").to_pylist()[0] == dict(
        zip(COLUMNS, ("a", "b", 0.123456789, 12345.6789, True, 1 / 3, None), strict=True)
    )


def test_parquet_has_every_name_as_it_is():
    with open_output(Path("out.parquet"), 0.75) as out:
        out.write(AWKWARD)
    assert pq.read_table("out.parquet").column("label").to_pylist() == [row[1] for row in AWKWARD]


def test_a_terminal_shows_a_line_per_row(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with open_output(None, 0.75) as out:
        out.write([*AWKWARD, ("a", "b", 0.5, 9.0, True, None), ("a", None, None, None, None, "broken\r\x1b[A")])
    first, blank, head, *lines, end = capsys.readouterr().out.split("\n")
    assert (first, blank, end) == ("I don't know: the score is above 0.75, the threshold", "", "")
    assert head.split() == ["answer", "score", "closest", "class", "probability", "file"]
    assert len(lines) == len(AWKWARD) + 2
    assert lines[1].startswith(r"a\rb ")
    assert lines[-2].split() == ["I", "don't", "know", "9", "b", "50.0%", "a"]
    assert lines[-1] == r"error: broken\r\x1b[A"
