"""The table of per-sample scores on disk: one Parquet file.

There is one row per image set, side, seed and image, in that order. It has the image's row in its store, its label and
content hash, the predicted class, and every score. The file's metadata lists the sets, sides, seeds and classes. Every
other float64 column is a score, whatever its name, since a table may come from a version with other scores.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.posthoc.table import SIDES, ScoreTable
from pipeline.runtime.errors import ScoreTableError
from pipeline.runtime.files import digest, write_bytes
from pipeline.runtime.shortage import require_memory

TABLE = "scores.parquet"
TABLE_FORMAT = "latent-outliers-scores/1"
FACTS, FACTS_DIGEST = b"latent-outliers", b"latent-outliers-sha256"
KEYS = ("image_set", "side", "seed", "row")
TEXTS = ("image_set", "side")
NO_SCORES = (*KEYS, "label", "content", "predicted")
VALUE_BYTES = 8
Values = NDArray[Any]
Number = Annotated[int, Field(ge=0, lt=2**63)]


class Facts(BaseModel):
    """The metadata of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    seeds: tuple[Number, ...] = Field(min_length=1)
    class_names: tuple[str, ...]
    weights: dict[Number, str]
    sets: dict[str, Annotated[int, Field(ge=1, lt=2**40)]] = Field(min_length=1)  # number of images by image set
    sides: tuple[str, ...] = Field(SIDES, min_length=1)

    @property
    def rows(self) -> int:
        """The number of rows of a table of these images."""
        return len(self.sides) * len(self.seeds) * sum(self.sets.values())


def write_table(path: Path, table: ScoreTable) -> None:
    """Write a table; its name appears only when it is complete."""
    sets = {name: len(labels) for name, labels in table.labels.items()}
    facts = Facts(
        format=TABLE_FORMAT, seeds=table.seeds, class_names=table.class_names, weights=table.weights, sets=sets,
        sides=table.sides,
    )  # fmt: skip
    keys = [(side, name) for name in sets for side in facts.sides]
    columns = {name: pa.array(values).dictionary_encode() for name, values in _keys(facts).items()}
    columns["label"] = pa.array(_per_image(table.labels, facts))
    columns["content"] = pa.array(_per_image(table.contents, facts))
    columns["predicted"] = pa.array(np.concatenate([table.predicted[key].ravel() for key in keys]))
    for score in table.score_names:
        columns[score] = pa.array(np.concatenate([table.scores[side, name, score].ravel() for side, name in keys]))
    facts_json = facts.model_dump_json(exclude_defaults=True).encode()  # lists the sets in row order
    metadata = {FACTS: facts_json, FACTS_DIGEST: digest(facts_json)}  # Parquet checksums cover pages, not metadata
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), buffer, write_page_checksum=True)
    write_bytes(path, memoryview(buffer.getvalue()))


def read_table(path: Path, sides: tuple[str, ...] = SIDES) -> ScoreTable:
    """Read a table of these sides; raises ScoreTableError when it is missing, damaged or of another format."""
    try:
        with path.open("rb") as stream:
            return read_stream(stream, str(path), sides)
    except OSError as error:
        raise ScoreTableError(path, "no such file") from error


def read_stream(stream: BinaryIO, name: str, sides: tuple[str, ...] = SIDES) -> ScoreTable:
    """Read a table of these sides from an open file; `name` identifies it in errors."""
    try:
        parquet = pq.ParquetFile(stream, page_checksum_verification=True)
        facts, schema = _facts(parquet, name, sides), parquet.schema_arrow
        _require_columns(schema, name)
        if (rows := parquet.metadata.num_rows) != facts.rows:
            raise ScoreTableError(name, f"{rows:,} rows where its metadata promise {facts.rows:,}")
        require_memory(name, VALUE_BYTES * rows * len(schema.names))
        arrow = parquet.read()
        arrow.validate(full=True)  # indices into dictionaries too
        _require_consistent_names(parquet, name)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ScoreTableError(name, f"a damaged file ({' '.join(str(error).split())[:120]})") from error
    if empty := [column for column in arrow.column_names if arrow[column].null_count]:
        raise ScoreTableError(name, f"rows without a value of {empty[0]!r}")
    scores = [column for column in arrow.column_names if column not in NO_SCORES]
    columns = {column: arrow[column].to_numpy() for column in arrow.column_names}
    _require_classes(columns, facts, name)
    for key, expected in _keys(facts).items():
        if not np.array_equal(columns[key], expected):
            raise ScoreTableError(name, f"rows whose {key!r} is not what its metadata promise")
    if broken := [
        score for score in scores if arrow[score].type != pa.float64() or not np.isfinite(columns[score]).all()
    ]:
        raise ScoreTableError(name, f"values of {broken[0]!r} that are no finite float64")
    return _assembled(facts, columns, scores)


def _facts(parquet: pq.ParquetFile, name: str, sides: tuple[str, ...]) -> Facts:
    metadata = parquet.schema_arrow.metadata or {}
    if (facts_json := metadata.get(FACTS)) is None:
        raise ScoreTableError(name, "a Parquet file of something else")
    if digest(facts_json).encode() != metadata.get(FACTS_DIGEST):
        raise ScoreTableError(name, "damaged metadata")
    try:
        facts = Facts.model_validate_json(facts_json)
    except ValidationError as error:
        raise ScoreTableError(name, f"metadata of another format ({error.errors()[0]['msg']})") from error
    if facts.format != TABLE_FORMAT:
        raise ScoreTableError(name, f"format {facts.format!r}, wanted {TABLE_FORMAT!r}")
    if facts.sides != sides:
        raise ScoreTableError(name, f"scores by {', '.join(facts.sides)}, wanted those by {', '.join(sides)}")
    return facts


def _require_consistent_names(parquet: pq.ParquetFile, name: str) -> None:
    """Refuse a file whose schema and data disagree on column names, so that a flipped bit cannot rename a score.

    All columns have to be read before: pyarrow ends the process when `column` finds damaged statistics.
    """
    for group_index in range(parquet.metadata.num_row_groups):
        group = parquet.metadata.row_group(group_index)
        column_names = [group.column(index).path_in_schema for index in range(group.num_columns)]
        if column_names != parquet.schema.names:
            raise ScoreTableError(name, "a damaged file (its columns have two names)")


def _require_columns(schema: pa.Schema, name: str) -> None:
    """Refuse a schema that lacks a column, has one twice, or has one of a type that such values do not have."""
    if missing := [column for column in NO_SCORES if column not in schema.names]:
        raise ScoreTableError(name, f"no column {missing[0]!r}")
    if twice := [column for column in schema.names if schema.names.count(column) > 1]:
        raise ScoreTableError(name, f"the column {twice[0]!r} twice")
    if len(schema.names) == len(NO_SCORES):
        raise ScoreTableError(name, "no column of scores")
    for column in NO_SCORES:
        kind = schema.field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        wanted = pa.types.is_string if column in TEXTS else pa.types.is_integer
        if not wanted(kind):
            raise ScoreTableError(name, f"{column!r} of type {kind}")


def _require_classes(columns: dict[str, Values], facts: Facts, name: str) -> None:
    """Refuse labels and predicted classes beyond the class names; label -1 is that of no ID class."""
    for column, least in (("label", -1), ("predicted", 0)):
        values, last = columns[column], len(facts.class_names) - 1
        if values.min() < least or values.max() > last:
            raise ScoreTableError(name, f"a {column!r} that is not {least} to {last}")


def _keys(facts: Facts) -> dict[str, Values]:
    """Return the expected key columns, which together identify a row."""
    seeds, sides = len(facts.seeds), len(facts.sides)
    sizes = [images * seeds * sides for images in facts.sets.values()]
    return {
        "image_set": np.repeat(np.array([*facts.sets], object), sizes),
        "side": np.concatenate([np.repeat(np.array(facts.sides, object), size // sides) for size in sizes]),
        "seed": np.concatenate([np.tile(np.repeat(facts.seeds, n), sides) for n in facts.sets.values()]),
        "row": np.concatenate([np.tile(np.arange(n), seeds * sides) for n in facts.sets.values()]),
    }


def _per_image(values: dict[str, Values], facts: Facts) -> Values:
    """Return a column of per-image values, repeated for each side and seed."""
    return np.concatenate([np.tile(values[name], len(facts.sides) * len(facts.seeds)) for name in facts.sets])


def _assembled(facts: Facts, columns: dict[str, Values], names: Sequence[str]) -> ScoreTable:
    labels, contents, scores, predicted = {}, {}, {}, {}
    start = 0
    for name, images in facts.sets.items():
        labels[name] = columns["label"][start : start + images].astype(np.int32)
        contents[name] = columns["content"][start : start + images].astype(np.int64)
        for side in facts.sides:
            rows, shape = slice(start, start + len(facts.seeds) * images), (len(facts.seeds), images)
            predicted[side, name] = columns["predicted"][rows].reshape(shape).astype(np.int32)
            for score in names:
                scores[side, name, score] = columns[score][rows].reshape(shape).astype(np.float64)
            start = rows.stop
    return ScoreTable(facts.seeds, facts.class_names, facts.weights, labels, contents, scores, predicted)
