"""Say what a store is, where its rows come from and what they are like, class pair by class pair."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from pipeline.autoencoder.model import Autoencoder, load_stage_output
from pipeline.errors import IncompatibleStoreError
from pipeline.files import printable
from pipeline.latents import to_scaled
from pipeline.pictures import Line, captions, decoded, draw_grid
from pipeline.store.format import LATENT
from pipeline.store.reader import Store

PER_LINE = 8


def describe(store: Store) -> dict[str, Any]:
    """Return everything the store says of itself and the statistics of its rows, as JSON can hold it."""
    header = store.header.model_dump(mode="json")
    return {
        "store": str(store.source),
        "manifest_sha256": store.digest,
        "shards": store.manifest.shards,
        "files": len(store.manifest.files),
        "bytes": store.total_bytes,
        **header,
        "statistics": statistics(store),
    }


def statistics(store: Store) -> list[dict[str, Any]]:
    """Return what the rows of each class pair (of latents: of each class) are like, the largest group first.

    rms: root mean square over the values of a row; in the units of the store, so that of outliers an ID row has about
    1. Reads the store shard by shard.
    """
    first, second = ("class_a", "class_b") if "class_a" in store.header.columns else ("label", "label")
    side = len(store.header.class_names) + 1  # the last one: rows that show no ID class
    sums = np.zeros((side * side, 4))  # rows, share of a, rms, rms squared
    largest = np.zeros(side * side)
    for shard in range(len(store.shards)):
        group = _class(store, first, shard) * side + _class(store, second, shard)
        latent = store.chunk(LATENT, shard).reshape(len(group), -1).astype(np.float32)
        rms = np.sqrt(np.square(latent).mean(1, dtype=np.float64))
        share = store.chunk("lam", shard) if "lam" in store.header.columns else np.ones(len(group))
        for place, values in enumerate((np.ones(len(group)), share, rms, np.square(rms))):
            sums[:, place] += np.bincount(group, values, side * side)
        np.maximum.at(largest, group, np.abs(latent).max(1))
    names = [*store.header.class_names, None]
    found = [
        {"class_a": names[group // side], "class_b": names[group % side], **_moments(sums[group], largest[group])}
        for group in np.flatnonzero(sums[:, 0])
    ]
    return sorted(found, key=lambda entry: -entry["rows"])


def print_description(report: dict[str, Any], pairs: int, console: Console) -> None:
    """Print the report for people, with the `pairs` largest groups of rows."""
    facts = Table.grid(padding=(0, 2))
    for name, words in _facts(report):
        facts.add_row(name, escape(words))
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
    console.print(Group(facts, table), highlight=False)


def load_decoder(folder: Path, store: Store) -> Autoencoder:
    """Return the autoencoder in `folder`; raises ModelError or IncompatibleStoreError unless the rows came from it."""
    autoencoder, digest = load_stage_output(folder)
    if digest != store.header.space.autoencoder:
        raise IncompatibleStoreError(str(store.source), "its autoencoder", store.header.space.autoencoder, digest)
    return autoencoder


def draw_rows(path: Path, store: Store, autoencoder: Autoencoder, count: int) -> None:
    """Draw `count` rows, evenly spaced through the store, decoded to be looked at."""
    rows = np.linspace(0, store.rows - 1, min(count, store.rows)).astype(np.int64)
    latents = torch.from_numpy(store.take(LATENT, rows).astype(np.float32))
    if store.header.kind == "outliers":
        latents = to_scaled(latents, store.header.standardisation)
    images = decoded(latents, autoencoder)
    titles = captions(store, rows) if "class_a" in store.header.columns else _labels(store, rows)
    lines = [
        Line(f"row {rows[start]} …", images[start : start + PER_LINE], titles[start : start + PER_LINE])
        for start in range(0, len(rows), PER_LINE)
    ]
    draw_grid(path, lines, f"{store.source}: decoded only to be looked at")


def _class(store: Store, column: str, shard: int) -> NDArray[np.int64]:
    """Return the class of each row; the number after the last one where the row shows no ID class."""
    found = store.chunk(column, shard).astype(np.int64)
    return np.where(found < 0, len(store.header.class_names), found)


def _moments(sums: NDArray[np.float64], largest: float) -> dict[str, Any]:
    rows, share, rms, square = sums
    std = float(np.sqrt(max(square / rows - (rms / rows) ** 2, 0.0)))
    return {
        "rows": int(rows),
        "share_of_a": float(share / rows),
        "rms_mean": float(rms / rows),
        "rms_std": std,
        "largest": float(largest),
    }


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    space, made = report["space"], dict(report["provenance"])
    files = made.pop("files", None)
    scale = zip(report["standardisation"]["mean"], report["standardisation"]["std"], strict=True)
    applied = "applied to these rows" if report["kind"] == "outliers" else "of these rows, not applied"
    shape = " x ".join(map(str, space["shape"]))
    return [
        ("store", f"{report['store']}, {report['kind']}, {report['format']}"),
        ("size", f"{report['rows']:,} rows in {report['shards']} shards, {report['bytes']:,} bytes"),
        ("manifest", report["manifest_sha256"]),
        *((f"from {name}" if name == "latents" else name, _words(value)) for name, value in made.items()),
        *([] if files is None else _files(files)),
        ("from autoencoder", space["autoencoder"]),
        ("latents are", f"{shape}, of {space['image_size']}-pixel images, times {space['scaling_factor']:.6g}"),
        ("standardised", ", ".join(f"({mean:+.3f}, {std:.3f})" for mean, std in scale) + f" (mean, std), {applied}"),
        ("classes", ", ".join(report["class_names"]) or "none"),
        ("columns", ", ".join(f"{name} {kind}" for name, kind in report["columns"].items())),
    ]


def _files(files: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what was found in the folder the images are from; the paths of what was skipped, where they are held."""
    parts = [f"{count:,} for {part}" for part, count in files["parts"].items() if count]
    skipped = sum(files["skipped"].values())
    told = f"{files['found']:,} found = {' + '.join(parts)} + {skipped:,} skipped; {files['repeated']:,} are copies"
    lists = {reason: [printable(path) for path in paths] for reason, paths in files.get("skipped_files", {}).items()}
    return [
        ("files", told),
        *((f"skipped, {reason}", ", ".join(lists.get(reason, [f"{n:,}"]))) for reason, n in files["skipped"].items()),
    ]


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(inner)}" for name, inner in value.items())
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def _labels(store: Store, rows: NDArray[np.int64]) -> list[str]:
    names = [*store.header.class_names, "-"]
    return [names[index] for index in store.take("label", rows)]
