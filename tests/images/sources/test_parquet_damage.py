"""A damaged Parquet file of images ends in an error, never in the end of the process."""

import pyarrow as pa

from tests.helpers.parquet import read_with_broken_statistics
from tests.images.sources.test_parquet import write

IMPORTS = """
from pipeline.images.parquet_file import ParquetFile
from pipeline.runtime.errors import ImageFileError
"""


def test_damaged_statistics_do_not_end_the_process(tmp_path):
    file = tmp_path / "train.parquet"
    write(file, [0, 1], type_=pa.binary(), images=[b"a", b"b"])
    read = '[image() for image in ParquetFile(file).each_image("image")]'
    read_with_broken_statistics(file, IMPORTS, read, "ImageFileError, KeyError")
