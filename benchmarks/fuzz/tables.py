"""Readers of Parquet files: images in tables, and tables of scores."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fuzz.broken import Random, mutated, replaced
from benchmarks.fuzz.documents import LARGEST_PIXELS, small_images, unlike_picture
from benchmarks.fuzz.run import Reader
from pipeline.images.sources.parquet import ParquetImagesSource, ParquetSource
from pipeline.posthoc.table import SIDES, ScoreTable
from pipeline.posthoc.table_file import FACTS, FACTS_DIGEST, read_table, write_table
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import digest, json_bytes
from pipeline.schema.reader import validate

NAMES = ("cat", "dog", "owl")
LABELS: tuple[Any, ...] = (0, 1, 2, -1, 3, None, 2**62)
MOST_ROWS = 24
SCORED = 5
"""Images per set in the table of scores."""


def table_readers(folder: Path) -> Iterator[Reader]:
    """Yield the readers; tables are written below `folder`."""
    images, file = small_images(), folder / "images.parquet"
    good = _good_scores(folder / "good.parquet")

    def made(rng: Random) -> tuple[bytes, str, float]:
        content = _parquet(rng, images)
        policy = ("skip", "fail")[rng.integers(2)]
        return (mutated(rng, content) if rng.random() < 0.4 else content), policy, float(rng.choice([0.2, 0.4]))

    def read(given: tuple[bytes, str, float]) -> None:
        content, policy, share = given
        file.write_bytes(content)
        _read_images(file, policy, share)

    def read_scores(content: bytes) -> object:
        file.write_bytes(content)
        table = read_table(file)
        return [table.accuracy(side) for side in SIDES] if "id_test" in table.labels else None

    ours = (PipelineError,)
    yield Reader("images in Parquet", made, read, ours, 6)
    yield Reader("table of scores as bytes", lambda rng: mutated(rng, good), read_scores, ours, 8)
    yield Reader("table of scores by values", lambda rng: _odd_scores(rng, good), read_scores, ours, 8)


def _read_images(file: Path, policy: str, share: float) -> None:
    """Open every part of a table, and decode every image in it."""
    shared = {"image": "image", "on_bad_image": policy, "largest_pixels": LARGEST_PIXELS, "seed": 0}
    limits = dict.fromkeys(("train", "validation", "test", "held_out"))
    labelled = {
        "kind": "parquet", "train": str(file), "test": share, "label": "label", "class_names": list(NAMES),
        "held_out": ["owl"], "validation": 0.2, "limits": limits,
    }  # fmt: skip
    problems = []
    sources: list[Any] = [
        validate(file, ParquetSource, labelled | shared),
        validate(file, ParquetImagesSource, {"kind": "parquet_images", "file": str(file), "images": None} | shared),
    ]
    for source in sources:
        try:
            for part in source.parts():
                found = source.open(part)
                for index in range(len(found)):
                    found.read(index)
        except PipelineError as error:
            problems.append(error)
    if len(problems) == len(sources):
        raise problems[0]


def _parquet(rng: Random, images: list[bytes]) -> bytes:
    """Return a Parquet file of images: whole ones, broken ones, none; in columns of the right and of other types."""
    rows = int(rng.integers(MOST_ROWS + 1))
    pictures = [_picture(rng, images) for _ in range(rows)]
    odd = 0.15 if rng.random() < 0.5 else 0.0
    labels = [LABELS[rng.integers(len(LABELS))] if rng.random() < odd else row % 3 for row in range(rows)]
    columns = {"image": _image_column(rng, pictures), "label": _label_column(rng, labels)}
    if rng.random() < 0.05:
        del columns[("image", "label")[rng.integers(2)]]
    buffer = BytesIO()
    checked, groups = bool(rng.integers(2)), int(rng.integers(1, 30))
    pq.write_table(pa.table(columns), buffer, write_page_checksum=checked, row_group_size=groups)
    return buffer.getvalue()


def _picture(rng: Random, images: list[bytes]) -> bytes | None:
    odd = (None, b"", mutated(rng, images[rng.integers(len(images))]), images[rng.integers(len(images))])
    return odd[rng.integers(len(odd))] if rng.random() < 0.05 else unlike_picture(rng)


def _image_column(rng: Random, pictures: list[bytes | None]) -> pa.Array:
    """Return pictures as bytes or structs of them, and sometimes as what no column of images is."""
    structs = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    good = (
        lambda: pa.array(pictures, pa.binary()),
        lambda: pa.array(pictures, pa.large_binary()),
        lambda: pa.array([{"bytes": found, "path": None} for found in pictures], structs),
        lambda: pa.array([None if found is None else {"bytes": found} for found in pictures], structs),
    )
    odd = (
        lambda: pa.array([None] * len(pictures), pa.null()),
        lambda: pa.array([[picture] for picture in pictures], pa.list_(pa.binary())),
        lambda: pa.array([None if picture is None else picture.hex() for picture in pictures]),
        lambda: pa.array(pictures, pa.binary()).dictionary_encode(),
        lambda: pa.array([{"path": "a"}] * len(pictures), pa.struct([("path", pa.string())])),
    )
    makers = odd if rng.random() < 0.15 else good
    return makers[rng.integers(len(makers))]()


def _label_column(rng: Random, labels: list[int | None]) -> pa.Array:
    """Return labels as integers, and sometimes as other types."""
    small = [label if label is None else max(-1, min(label, 9)) for label in labels]
    good = (lambda: pa.array(labels, pa.int64()), lambda: pa.array(small, pa.int8()))
    odd = (
        lambda: pa.array([None if label is None else str(label) for label in labels], pa.string()),
        lambda: pa.array([None if label is None else float(label) for label in labels], pa.float64()),
        lambda: pa.array([2**64 - 1 if label is None else max(label, 0) for label in labels], pa.uint64()),
        lambda: pa.array(small, pa.int32()).dictionary_encode(),
        lambda: pa.array([None if label is None else label % 2 == 1 for label in labels], pa.bool_()),
    )
    makers = odd if rng.random() < 0.15 else good
    return makers[rng.integers(len(makers))]()


def _good_scores(file: Path) -> bytes:
    rng, sets, seeds = np.random.default_rng(0), ("id_validation", "id_test", "near"), (0, 1)
    both = [(side, name) for side in SIDES for name in sets]
    table = ScoreTable(
        seeds=seeds,
        class_names=NAMES,
        weights=dict.fromkeys(seeds, "a" * 64),
        labels={name: np.full(SCORED, -1 if name == "near" else 1, np.int32) for name in sets},
        contents={name: np.arange(SCORED) for name in sets},
        scores={(*key, score): rng.standard_normal((len(seeds), SCORED)) for key in both for score in ("knn", "msp")},
        predicted={key: rng.integers(0, 3, (len(seeds), SCORED)).astype(np.int32) for key in both},
    )
    write_table(file, table)
    return file.read_bytes()


def _odd_scores(rng: Random, good: bytes) -> bytes:
    """Return a table whose facts or columns have odd values, with a right digest of the facts."""
    table = pq.read_table(BytesIO(good))
    facts = table.schema.metadata[FACTS]
    if rng.random() < 0.6:
        facts = json_bytes(replaced(rng, json.loads(facts)))
    else:
        table = _odd_column(rng, table)
    buffer = BytesIO()
    metadata = {FACTS: facts, FACTS_DIGEST: digest(facts)}
    pq.write_table(table.replace_schema_metadata(metadata), buffer, write_page_checksum=True)
    return buffer.getvalue()


def _odd_column(rng: Random, table: pa.Table) -> pa.Table:
    """Return a table with one column dropped, renamed, emptied, of another type, or with odd values."""
    place, rows = int(rng.integers(table.num_columns)), table.num_rows
    name, values = table.column_names[place], table.column(place)
    numbers = rng.choice([np.nan, np.inf, 1e308, -7.0, 2.0**62], rows)
    changes = (
        lambda: table.drop_columns([name]),
        lambda: table.rename_columns([f"{other}x" if other == name else other for other in table.column_names]),
        lambda: table.append_column(name, values),
        lambda: table.slice(0, int(rng.integers(rows))),
        lambda: table.set_column(place, name, pa.array([str(value) for value in values.to_pylist()])),
        lambda: table.set_column(place, name, pa.array([None] * rows, values.type)),
        lambda: table.set_column(place, name, pa.array([[1]] * rows)),
        lambda: table.set_column(place, name, pa.array(numbers)),
    )
    return changes[rng.integers(len(changes))]()
