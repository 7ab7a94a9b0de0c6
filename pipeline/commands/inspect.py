"""Describe a store: its header, the origin of its rows, and statistics of its values and of class pairs."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table

from pipeline.commands.row_statistics import statistics
from pipeline.latents.standardising import to_scaled
from pipeline.networks.encoders.encoder import Encoder, SavedEncoder, load_encoder
from pipeline.report.grid import PictureRow, captions, decoded, draw_grid
from pipeline.runtime.errors import IncompatibleStoreError, ModelError
from pipeline.runtime.text.terminal import Console
from pipeline.store.format import LATENT, LATENT_DTYPE
from pipeline.store.reader import Store

PICTURES_PER_ROW = 8


def describe(store: Store) -> dict[str, Any]:
    """Return the header, manifest and row statistics of a store, in types that JSON can hold."""
    header, found = store.header.model_dump(mode="json"), statistics(store)
    return {
        "store": str(store.source),
        "manifest_sha256": store.digest,
        "shards": store.manifest.shards,
        "files": len(store.manifest.files),
        "bytes": store.total_bytes,
        "bytes_per_row": LATENT_DTYPE.itemsize * prod(store.header.space.shape),
        **header,
        "values": found.values,
        "statistics": found.groups,
    }


def print_description(report: dict[str, Any], pairs: int, console: Console) -> None:
    """Print the description as tables, with the `pairs` largest groups of rows."""
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(report):
        facts.add_row(name, value)
    groups = report["statistics"]
    outliers = report["kind"] == "outliers"
    title = f"rows by {'class pair' if outliers else 'class'}, {min(pairs, len(groups))} of {len(groups)}"
    table = Table(title=title, title_justify="left")
    for name in ("class a", "class b", "rows", "share of a", "rms", "largest value") if outliers else (
        "class", "rows", "rms", "largest value",
    ):  # fmt: skip
        table.add_column(name, justify="left" if name.startswith("class") else "right")
    for group in groups[:pairs]:
        names = [group[key] or "no ID class" for key in (("class_a", "class_b") if outliers else ("class_a",))]
        share = [f"{group['share_of_a']:.2f}"] if outliers else []
        rms = f"{group['rms_mean']:.3f} ± {group['rms_std']:.3f}"
        table.add_row(*names, f"{group['rows']:,}", *share, rms, f"{group['largest']:.2f}")
    console.print(facts, table)


def load_origin(folder: Path, store: Store) -> SavedEncoder:
    """Return the encoder in `folder`; raises ModelError or IncompatibleStoreError unless the rows came from it."""
    saved = load_encoder(folder)
    if saved.digest != store.header.space.encoder:
        raise IncompatibleStoreError(str(store.source), "its encoder", store.header.space.encoder, saved.digest)
    return saved


def load_decoder(folder: Path, store: Store) -> Encoder:
    """Return the encoder that the rows came from; raises ModelError, too, when it cannot decode."""
    saved = load_origin(folder, store)
    if not saved.encoder.can_decode:
        raise ModelError(
            f"{folder}: found an encoder of kind {saved.card.model.kind!r} that cannot decode, wanted an autoencoder. "
            f"There are no pictures of its latents."
        )
    return saved.encoder


def draw_rows(path: Path, store: Store, encoder: Encoder, count: int) -> None:
    """Draw `count` decoded rows, evenly spaced through the store."""
    rows = np.linspace(0, store.rows - 1, min(count, store.rows)).astype(np.int64)
    latents = torch.from_numpy(store.take(LATENT, rows).astype(np.float32))
    if store.header.kind == "outliers":
        latents = to_scaled(latents, store.header.standardisation)
    images = decoded(latents, encoder)
    titles = captions(store, rows) if "class_a" in store.header.columns else _labels(store, rows)
    picture_rows = [
        PictureRow(
            f"row {rows[start]} …", images[start : start + PICTURES_PER_ROW], titles[start : start + PICTURES_PER_ROW]
        )
        for start in range(0, len(rows), PICTURES_PER_ROW)
    ]
    draw_grid(path, picture_rows, f"{store.source}: decoded only to be looked at")


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return name and text of each fact about the store."""
    space, provenance, values = report["space"], dict(report["provenance"]), report["values"]
    files = provenance.pop("files", None)
    scale = zip(report["standardisation"]["mean"], report["standardisation"]["std"], strict=True)
    applied = "applied to these rows" if report["kind"] == "outliers" else "of these rows, not applied"
    shape = " x ".join(map(str, space["shape"]))
    latents = f"{shape}, {report['bytes_per_row']:,} bytes each, of {space['image_size']}-pixel images"
    return [
        ("store", f"{report['store']}, {report['kind']}, {report['format']}"),
        ("size", f"{report['rows']:,} rows in {report['shards']} shards, {report['bytes']:,} bytes"),
        ("manifest", report["manifest_sha256"]),
        *((f"from {name}" if name == "latents" else name, _as_text(value)) for name, value in provenance.items()),
        *([] if files is None else _file_facts(files)),
        ("from encoder", space["autoencoder"]),
        ("latents are", f"{latents}, times {space['scaling_factor']:.6g}"),
        ("values", "mean {mean:.3f}, std {std:.3f}, from {smallest:.3f} to {largest:.3f}".format(**values)),
        ("standardised", ", ".join(f"({mean:+.3f}, {std:.3f})" for mean, std in scale) + f" (mean, std), {applied}"),
        ("classes", ", ".join(report["class_names"]) or "none"),
        ("columns", ", ".join(f"{name} {kind}" for name, kind in report["columns"].items())),
    ]


def _file_facts(files: dict[str, Any]) -> list[tuple[str, str]]:
    """Return counts of the files in the folder of the images, and the paths of skipped files where they were kept."""
    parts = [f"{count:,} for {part}" for part, count in files["parts"].items() if count]
    skipped = sum(files["skipped"].values())
    summary = f"{files['found']:,} found = {' + '.join(parts)} + {skipped:,} skipped; {files['repeated']:,} are copies"
    paths_by_reason = files.get("skipped_files", {})
    return [
        (files.get("unit", "files"), summary),
        *([("faint", f"{files['faint']:,} use at most an eighth of 16 bits")] if "faint" in files else []),
        *(
            (f"skipped, {reason}", ", ".join(paths_by_reason.get(reason, [f"{n:,}"])))
            for reason, n in files["skipped"].items()
        ),
    ]


def _as_text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_as_text(inner)}" for name, inner in value.items())
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def _labels(store: Store, rows: NDArray[np.int64]) -> list[str]:
    names = [*store.header.class_names, "-"]
    return [names[index] for index in store.take("label", rows)]
