"""The table of per-sample scores: one Parquet file from which every metric can be computed again.

One row per image set, side, seed and image, in that order: the image's row in its store, its label and content hash,
the class the network predicts, and every score. The file's metadata say which sets, seeds and classes it has.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import ScoreTableError
from pipeline.files import digest, write_bytes
from pipeline.infer.params import SCORES, ScoreName

TABLE = "scores.parquet"
TABLE_FORMAT = "latent-outliers-scores/1"
SIDES = ("baseline", "detector")
FACTS, FACTS_DIGEST = b"latent-outliers", b"latent-outliers-sha256"
KEYS = ("image_set", "side", "seed", "row")
Values = NDArray[Any]


class Facts(BaseModel):
    """What the file says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    seeds: tuple[int, ...]
    class_names: tuple[str, ...]
    weights: dict[int, str]
    sets: dict[str, int]  # images of each


@dataclass(frozen=True)
class ScoreTable:
    """What baseline and detector of every seed say of every image."""

    seeds: tuple[int, ...]
    class_names: tuple[str, ...]
    weights: dict[int, str]  # by seed: SHA-256 of the detector's weights
    labels: dict[str, NDArray[np.int32]]  # by image set: (n,), -1 where an image shows no ID class
    contents: dict[str, NDArray[np.int64]]  # by image set: (n,) hash of each image
    scores: dict[tuple[str, str, ScoreName], NDArray[np.float64]]
    """By side, image set and score: (seeds, n), larger = more outlier."""
    predicted: dict[tuple[str, str], NDArray[np.int32]]  # by side and image set: (seeds, n) index into class_names

    def accuracy(self, side: str) -> list[float]:
        """Return the share of ID test images whose class is predicted, per seed."""
        hits = self.predicted[side, "id_test"] == self.labels["id_test"]
        return [float(share) for share in hits.mean(1)]


def write_table(path: Path, table: ScoreTable) -> None:
    """Write a table, whole before its name appears."""
    sets = {name: len(labels) for name, labels in table.labels.items()}
    facts = Facts(
        format=TABLE_FORMAT, seeds=table.seeds, class_names=table.class_names, weights=table.weights, sets=sets
    )  # fmt: skip
    both = [(side, name) for name in sets for side in SIDES]
    columns = {name: pa.array(values).dictionary_encode() for name, values in _keys(facts).items()}
    columns["label"] = pa.array(_per_image(table.labels, facts))
    columns["content"] = pa.array(_per_image(table.contents, facts))
    columns["predicted"] = pa.array(np.concatenate([table.predicted[one].ravel() for one in both]))
    for score in SCORES:
        columns[score] = pa.array(np.concatenate([table.scores[side, name, score].ravel() for side, name in both]))
    stated = facts.model_dump_json().encode()  # the sets in the order of the rows
    metadata = {FACTS: stated, FACTS_DIGEST: digest(stated)}  # Parquet has checksums of its pages, not of these
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), buffer, write_page_checksum=True)
    write_bytes(path, memoryview(buffer.getvalue()))


def read_table(path: Path) -> ScoreTable:
    """Read a table that is whole; raises ScoreTableError when it is not there, damaged, or of another format."""
    try:
        with path.open("rb") as stream:
            return read_stream(stream, str(path))
    except OSError as error:
        raise ScoreTableError(path, "no such file") from error


def read_stream(stream: BinaryIO, name: str) -> ScoreTable:
    """Read a table from an open file; `name` says in errors what it is."""
    try:
        parquet = pq.ParquetFile(stream, page_checksum_verification=True)
        facts = _facts(parquet, name)
        arrow = parquet.read()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ScoreTableError(name, f"a damaged file ({' '.join(str(error).split())[:120]})") from error
    wanted = (*KEYS, "label", "content", "predicted", *SCORES)
    if missing := [column for column in wanted if column not in arrow.column_names]:
        raise ScoreTableError(name, f"no column {missing[0]!r}")
    columns = {column: arrow[column].to_numpy() for column in wanted}
    for key, expected in _keys(facts).items():
        if not np.array_equal(columns[key], expected):
            raise ScoreTableError(name, f"rows whose {key!r} is not what its metadata promise")
    if broken := [
        score for score in SCORES if arrow[score].type != pa.float64() or not np.isfinite(columns[score]).all()
    ]:
        raise ScoreTableError(name, f"values of {broken[0]!r} that are no finite float64")
    return _assembled(facts, columns)


def _facts(parquet: pq.ParquetFile, name: str) -> Facts:
    metadata = parquet.schema_arrow.metadata or {}
    if (stated := metadata.get(FACTS)) is None:
        raise ScoreTableError(name, "a Parquet file of something else")
    if digest(stated).encode() != metadata.get(FACTS_DIGEST):
        raise ScoreTableError(name, "damaged metadata")
    try:
        facts = Facts.model_validate_json(stated)
    except ValidationError as error:
        raise ScoreTableError(name, f"metadata of another format ({error.errors()[0]['msg']})") from error
    if facts.format != TABLE_FORMAT:
        raise ScoreTableError(name, f"format {facts.format!r}, wanted {TABLE_FORMAT!r}")
    return facts


def _keys(facts: Facts) -> dict[str, Values]:
    """Return what tells the rows apart, as it has to be."""
    seeds, sides = len(facts.seeds), len(SIDES)
    sizes = [images * seeds * sides for images in facts.sets.values()]
    return {
        "image_set": np.repeat(np.array([*facts.sets], object), sizes),
        "side": np.concatenate([np.repeat(np.array(SIDES, object), size // sides) for size in sizes]),
        "seed": np.concatenate([np.tile(np.repeat(facts.seeds, n), sides) for n in facts.sets.values()]),
        "row": np.concatenate([np.tile(np.arange(n), seeds * sides) for n in facts.sets.values()]),
    }


def _per_image(values: dict[str, Values], facts: Facts) -> Values:
    """Return what is known of an image, once for each side and seed."""
    return np.concatenate([np.tile(values[name], len(SIDES) * len(facts.seeds)) for name in facts.sets])


def _assembled(facts: Facts, columns: dict[str, Values]) -> ScoreTable:
    labels, contents, scores, predicted = {}, {}, {}, {}
    start = 0
    for name, images in facts.sets.items():
        labels[name] = columns["label"][start : start + images].astype(np.int32)
        contents[name] = columns["content"][start : start + images].astype(np.int64)
        for side in SIDES:
            rows, shape = slice(start, start + len(facts.seeds) * images), (len(facts.seeds), images)
            predicted[side, name] = columns["predicted"][rows].reshape(shape).astype(np.int32)
            for score in SCORES:
                scores[side, name, score] = columns[score][rows].reshape(shape).astype(np.float64)
            start = rows.stop
    return ScoreTable(facts.seeds, facts.class_names, facts.weights, labels, contents, scores, predicted)
