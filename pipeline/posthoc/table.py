"""The table of per-sample scores: one Parquet file from which every metric can be computed.

There is one row per image set, side, seed and image, in that order. It has the image's row in its store, its label and
content hash, the predicted class, and every score. The file's metadata lists the sets, seeds and classes. Every other
float64 column is a score, whatever its name, since a table may come from a version with other scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.runtime.errors import ScoreTableError
from pipeline.runtime.files import digest, write_bytes

TABLE = "scores.parquet"
TABLE_FORMAT = "latent-outliers-scores/1"
SIDES = ("baseline", "detector")
FACTS, FACTS_DIGEST = b"latent-outliers", b"latent-outliers-sha256"
KEYS = ("image_set", "side", "seed", "row")
NO_SCORES = (*KEYS, "label", "content", "predicted")
Values = NDArray[Any]


class Facts(BaseModel):
    """The metadata of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    seeds: tuple[int, ...]
    class_names: tuple[str, ...]
    weights: dict[int, str]
    sets: dict[str, int]  # number of images by image set


@dataclass(frozen=True)
class ScoreTable:
    """Predictions and scores of every image by baseline and detector of every seed."""

    seeds: tuple[int, ...]
    class_names: tuple[str, ...]
    weights: dict[int, str]  # SHA-256 of the detector's weights, by seed
    labels: dict[str, NDArray[np.int32]]  # by image set: (n,), -1 for images of no ID class
    contents: dict[str, NDArray[np.int64]]  # by image set: (n,) content hashes
    scores: dict[tuple[str, str, str], NDArray[np.float64]]
    """By side, image set and score name: (seeds, n), larger = more outlier."""
    predicted: dict[tuple[str, str], NDArray[np.int32]]  # by side and image set: (seeds, n) index into class_names

    @property
    def score_names(self) -> tuple[str, ...]:
        """The names of the scores in the table; these may differ from those of this version."""
        return tuple(dict.fromkeys(score for _, _, score in self.scores))

    def accuracy(self, side: str) -> list[float]:
        """Return the share of ID test images whose class is predicted correctly, per seed."""
        hits = self.predicted[side, "id_test"] == self.labels["id_test"]
        return [float(share) for share in hits.mean(1)]


def write_table(path: Path, table: ScoreTable) -> None:
    """Write a table; its name appears only when it is complete."""
    sets = {name: len(labels) for name, labels in table.labels.items()}
    facts = Facts(
        format=TABLE_FORMAT, seeds=table.seeds, class_names=table.class_names, weights=table.weights, sets=sets
    )  # fmt: skip
    keys = [(side, name) for name in sets for side in SIDES]
    columns = {name: pa.array(values).dictionary_encode() for name, values in _keys(facts).items()}
    columns["label"] = pa.array(_per_image(table.labels, facts))
    columns["content"] = pa.array(_per_image(table.contents, facts))
    columns["predicted"] = pa.array(np.concatenate([table.predicted[key].ravel() for key in keys]))
    for score in table.score_names:
        columns[score] = pa.array(np.concatenate([table.scores[side, name, score].ravel() for side, name in keys]))
    facts_json = facts.model_dump_json().encode()  # lists the sets in row order
    metadata = {FACTS: facts_json, FACTS_DIGEST: digest(facts_json)}  # Parquet checksums cover pages, not metadata
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), buffer, write_page_checksum=True)
    write_bytes(path, memoryview(buffer.getvalue()))


def read_table(path: Path) -> ScoreTable:
    """Read a table; raises ScoreTableError when it is missing, damaged or of another format."""
    try:
        with path.open("rb") as stream:
            return read_stream(stream, str(path))
    except OSError as error:
        raise ScoreTableError(path, "no such file") from error


def read_stream(stream: BinaryIO, name: str) -> ScoreTable:
    """Read a table from an open file; `name` identifies it in errors."""
    try:
        parquet = pq.ParquetFile(stream, page_checksum_verification=True)
        facts = _facts(parquet, name)
        _require_consistent_names(parquet, name)
        arrow = parquet.read()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ScoreTableError(name, f"a damaged file ({' '.join(str(error).split())[:120]})") from error
    if missing := [column for column in NO_SCORES if column not in arrow.column_names]:
        raise ScoreTableError(name, f"no column {missing[0]!r}")
    scores = [column for column in arrow.column_names if column not in NO_SCORES]
    if not scores:
        raise ScoreTableError(name, "no column of scores")
    columns = {column: arrow[column].to_numpy() for column in arrow.column_names}
    for key, expected in _keys(facts).items():
        if not np.array_equal(columns[key], expected):
            raise ScoreTableError(name, f"rows whose {key!r} is not what its metadata promise")
    if broken := [
        score for score in scores if arrow[score].type != pa.float64() or not np.isfinite(columns[score]).all()
    ]:
        raise ScoreTableError(name, f"values of {broken[0]!r} that are no finite float64")
    return _assembled(facts, columns, scores)


def _facts(parquet: pq.ParquetFile, name: str) -> Facts:
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
    return facts


def _require_consistent_names(parquet: pq.ParquetFile, name: str) -> None:
    """Refuse a file whose schema and data disagree on column names, so that a flipped bit cannot rename a score."""
    for group_index in range(parquet.metadata.num_row_groups):
        group = parquet.metadata.row_group(group_index)
        column_names = [group.column(index).path_in_schema for index in range(group.num_columns)]
        if column_names != parquet.schema.names:
            raise ScoreTableError(name, "a damaged file (its columns have two names)")


def _keys(facts: Facts) -> dict[str, Values]:
    """Return the expected key columns, which together identify a row."""
    seeds, sides = len(facts.seeds), len(SIDES)
    sizes = [images * seeds * sides for images in facts.sets.values()]
    return {
        "image_set": np.repeat(np.array([*facts.sets], object), sizes),
        "side": np.concatenate([np.repeat(np.array(SIDES, object), size // sides) for size in sizes]),
        "seed": np.concatenate([np.tile(np.repeat(facts.seeds, n), sides) for n in facts.sets.values()]),
        "row": np.concatenate([np.tile(np.arange(n), seeds * sides) for n in facts.sets.values()]),
    }


def _per_image(values: dict[str, Values], facts: Facts) -> Values:
    """Return a column of per-image values, repeated for each side and seed."""
    return np.concatenate([np.tile(values[name], len(SIDES) * len(facts.seeds)) for name in facts.sets])


def _assembled(facts: Facts, columns: dict[str, Values], names: Sequence[str]) -> ScoreTable:
    labels, contents, scores, predicted = {}, {}, {}, {}
    start = 0
    for name, images in facts.sets.items():
        labels[name] = columns["label"][start : start + images].astype(np.int32)
        contents[name] = columns["content"][start : start + images].astype(np.int64)
        for side in SIDES:
            rows, shape = slice(start, start + len(facts.seeds) * images), (len(facts.seeds), images)
            predicted[side, name] = columns["predicted"][rows].reshape(shape).astype(np.int32)
            for score in names:
                scores[side, name, score] = columns[score][rows].reshape(shape).astype(np.float64)
            start = rows.stop
    return ScoreTable(facts.seeds, facts.class_names, facts.weights, labels, contents, scores, predicted)
