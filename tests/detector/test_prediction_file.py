"""Rows are written as they come, and an unfinished file is never taken for a finished one."""

import platform
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.detector import prediction_file
from pipeline.detector.prediction_file import open_output


def test_what_a_killed_process_left_of_a_table_goes_with_the_next_one():
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    Path(f"out.csv.{platform.node()}.{gone.pid}.partial").write_text("half")
    with open_output(Path("out.csv")):
        pass
    assert [path.name for path in Path().iterdir()] == ["out.csv"]


def test_row_groups_are_written_as_they_fill(monkeypatch):
    monkeypatch.setattr(prediction_file, "ROWS_PER_GROUP", 4)
    with open_output(Path("out.parquet")) as out:
        for start in (0, 3, 6, 9):
            out.write([(str(index), "a", 0.5, 1.0, True, None) for index in range(start, min(start + 3, 10))])
    written = pq.ParquetFile("out.parquet")
    assert [written.metadata.row_group(group).num_rows for group in range(3)] == [4, 4, 2]
    assert written.read().column("file").to_pylist() == [str(index) for index in range(10)]
