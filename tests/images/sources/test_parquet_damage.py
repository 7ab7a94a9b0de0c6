"""A damaged Parquet file of images ends in an error, never in the end of the process."""

import os
import subprocess
import sys

import pyarrow as pa

from tests.helpers.make import ROOT
from tests.images.sources.test_parquet import write

FOOTERS = """
from pathlib import Path
from pipeline.images.parquet_file import ParquetFile
from pipeline.runtime.errors import ImageFileError

file = Path("train.parquet")
content = file.read_bytes()
footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
for place in (place for place in range(footer, len(content) - 8) if content[place] == 2):
    broken = bytearray(content)
    broken[place] ^= 0x10
    file.write_bytes(broken)
    try:
        [image() for image in ParquetFile(file).each_image("image")]
    except (ImageFileError, KeyError):
        pass
"""


def test_damaged_statistics_do_not_end_the_process(tmp_path):
    """pyarrow 26 aborts when it is asked for a column's metadata whose list of statistics has another length."""
    write(tmp_path / "train.parquet", [0, 1], type_=pa.binary(), images=[b"a", b"b"])
    subprocess.run(
        [sys.executable, "-c", FOOTERS], check=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
