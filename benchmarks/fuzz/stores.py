"""Readers of stores and of the outputs of stages, whose manifests are right again, as an attacker would write them."""

import json
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz.broken import Random, replaced
from benchmarks.fuzz.folders import Files, Odd, broken_files, files_of, write_files
from benchmarks.fuzz.run import Reader
from pipeline.commands.inspect import describe, print_description
from pipeline.latents.latents import has_parents_in, load_id_train, require_outliers
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import MANIFEST, digest, json_bytes, write_bytes, write_json
from pipeline.runtime.manifest import check_output, seal, seal_digest
from pipeline.runtime.text.terminal import Console
from pipeline.store.format import CRC_BYTES, FORMAT, LatentSpace, Standardisation
from pipeline.store.reader import Store
from pipeline.store.writer import StoreWriter

SPACE = LatentSpace(encoder="a" * 64, scaling_factor=0.5, image_size=32, shape=(4, 2, 2))
STANDARDISATION = Standardisation(mean=(0.0,) * 4, std=(1.0,) * 4)
NAMES = ("cat", "dog", "owl")
ROWS, ROWS_PER_SHARD = 40, 16
SEALED = 0.9
"""Share of inputs whose manifest is right again; the others test the manifest itself."""


def store_readers(folder: Path) -> Iterator[Reader]:
    """Yield the readers; stores are written below `folder`."""
    good, place = folder / "good", folder / "broken"
    latents, outliers, output = _latents(good / "latents"), _outliers(good / "outliers"), _output(good / "output")
    id_train = load_id_train(good / "latents")

    def read_latents(files: Files) -> object:
        write_files(place, files)
        _look_at(Store(place))
        return load_id_train(place)

    def read_outliers(files: Files) -> object:
        write_files(place, files)
        _look_at(store := Store(place))
        require_outliers(store, id_train.header)
        return has_parents_in(store, id_train), store.latents()

    def read_output(files: Files) -> object:
        write_files(place, files)
        return check_output(place)

    ours = (PipelineError,)
    yield Reader("store of latents", lambda rng: _resealed(rng, broken_files(rng, latents)), read_latents, ours, 8)
    yield Reader("store of outliers", lambda rng: _resealed(rng, broken_files(rng, outliers)), read_outliers, ours, 8)
    yield Reader("output of a stage", lambda rng: _sealed_output(rng, broken_files(rng, output)), read_output, ours, 11)


def _look_at(store: Store) -> None:
    """Do with a store what `verify` and `inspect` do."""
    store.verify(lambda _: None)
    print_description(describe(store), 5, Console(file=StringIO()))


def _latents(folder: Path) -> Files:
    rng = np.random.default_rng(0)
    columns = {"label": (np.arange(ROWS) % 3).astype(np.int32), "content": rng.integers(0, 2**62, ROWS)}
    files = {
        "unit": "files", "digest": "b" * 64, "found": 42, "parts": {"train": 40}, "repeated": 0,
        "skipped": {"empty": 2}, "skipped_files": {"empty": ["a.png", "b.png"]}, "faint": 1,
    }  # fmt: skip
    return _written(folder, columns, "latents", {"source": "photos", "part": "train", "seed": 0, "files": files})


def _outliers(folder: Path) -> Files:
    classes = (np.arange(ROWS) % 3).astype(np.int32)
    columns = {
        "class_a": classes, "class_b": classes[::-1].copy(), "parent_a": np.arange(ROWS, dtype=np.int32),
        "parent_b": np.full(ROWS, -1, np.int32), "lam": np.linspace(0, 1, ROWS, dtype=np.float32),
        "method": np.zeros(ROWS, np.uint8),
    }  # fmt: skip
    latents = json.loads((folder.parent / "latents" / MANIFEST).read_bytes())["sha256"]
    facts = {"method": "perturb", "method_names": ["perturb"], "seed": 0, "latents": latents, "params": {"rows": ROWS}}
    return _written(folder, columns, "outliers", facts)


def _written(folder: Path, columns: dict[str, Any], kind: str, provenance: dict[str, Any]) -> Files:
    values = np.random.default_rng(1).standard_normal((ROWS, *SPACE.shape)).astype(np.float16)
    dtypes = {name: column.dtype for name, column in columns.items()}
    writer = StoreWriter(folder, ROWS, SPACE.shape, dtypes, ROWS_PER_SHARD)
    for shard, rows in enumerate(writer.shards):
        part = slice(rows.start, rows.stop)
        writer.write_shard(shard, values[part], {name: column[part] for name, column in columns.items()})
    facts = {"kind": kind, "space": SPACE, "standardisation": STANDARDISATION, "class_names": NAMES}
    writer.finish(**facts, provenance=provenance)
    return files_of(folder)


def _output(folder: Path) -> Files:
    write_json(folder / "network.json", {"width": 8})
    write_bytes(folder / "model" / "weights.safetensors", bytes(200))
    seal(folder)
    return files_of(folder)


def _resealed(rng: Random, files: Files) -> Files:
    """Return a store with a manifest that lists its files as they are; sometimes with odd values in the manifest."""
    if rng.random() > SEALED:
        return files
    header = _fields(files.get("zarr.json")).get("attributes")
    rows = header.get("rows") if isinstance(header, dict) else ROWS
    old = _fields(files.get(MANIFEST))
    entries = {name: _entry(name, content) for name, content in _listed(files).items()}
    content = {"format": FORMAT, "rows": rows, "shards": old.get("shards", 3), "files": entries}
    return {**files, MANIFEST: _sealed(rng, content)}


def _sealed_output(rng: Random, files: Files) -> Files:
    """Return an output with a manifest that lists its files as they are; sometimes with odd values."""
    if rng.random() > SEALED:
        return files
    entries = {name: {"bytes": len(content), "sha256": digest(content)} for name, content in _listed(files).items()}
    return {**files, MANIFEST: _sealed(rng, {"format": "latent-outliers-files/1", "files": entries})}


def _sealed(rng: Random, content: dict[str, Any]) -> bytes:
    if rng.random() < 0.2:
        content = replaced(rng, content)
    return json_bytes(content | {"sha256": seal_digest(content)})


def _listed(files: Mapping[str, bytes | Odd]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if isinstance(content, bytes) and name != MANIFEST}


def _entry(name: str, content: bytes) -> dict[str, Any]:
    crc32c = None if name.endswith(".json") else int.from_bytes(content[-CRC_BYTES:], "little")
    return {"bytes": len(content), "sha256": digest(content), "crc32c": crc32c}


def _fields(content: bytes | Odd | None) -> dict[str, Any]:
    """Return the fields of a JSON file; none where it holds something else."""
    try:
        fields = json.loads(content) if isinstance(content, bytes) else {}
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
