"""Stage `guard`: no image in two sets, or nothing is trained; the latents of all sets to `reports/guard.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run

if TYPE_CHECKING:
    from pipeline.latents.leaks import SharedImages
    from pipeline.params.data import DataParams
    from pipeline.store.reader import Store

PASSED = {"passed": True}
"""The same whenever the check passes, so that what waits for it runs again only when it has to."""


def guard(latents: Path, report: Path, passed: Path, params: ParamsPath = PARAMS_FILE) -> None:
    """Compare the image sets in LATENTS by content; write REPORT (JSON) and PASSED, or end with an error at a leak.

    After an error neither file is there, nor an older one.
    """
    from pipeline.params.data import DataParams
    from pipeline.params.guard import GuardParams
    from pipeline.runtime.device import STAGE_THREADS, prepare_torch
    from pipeline.runtime.files import write_json
    from pipeline.runtime.run_log import timed_run
    from pipeline.runtime.workspace import warn_of_orphaned_outputs
    from pipeline.schema.reader import ParamsFile

    file = ParamsFile(params)
    data, settings = file.section("data", DataParams), file.section("guard", GuardParams)
    passed.unlink(missing_ok=True)
    report.unlink(missing_ok=True)
    warn_of_orphaned_outputs(latents, data.sets)
    prepare_torch(STAGE_THREADS)
    with timed_run(report, ""):
        content = _compared(latents, data, settings.most_shared)
        near = _near_duplicates({name: latents / name for name in data.sets}, settings.near_duplicate)
        write_json(report, content | {"near_duplicates": near})
        write_json(passed, PASSED)


def _compared(latents: Path, data: DataParams, most_shared: int) -> dict[str, Any]:
    """Return what the report says of equal images and of files; raises LeakError."""
    from dataclasses import asdict

    from pipeline.latents.file_account import account_for_files
    from pipeline.latents.guard_report import GUARD_FORMAT
    from pipeline.latents.latents import store_contents
    from pipeline.latents.leaks import repeats, shared_images
    from pipeline.runtime.errors import LeakError
    from pipeline.store.reader import Store

    stores = {name: Store(latents / name) for name in data.sets}
    contents = {name: store_contents(store) for name, store in stores.items()}
    sources = {name: chosen.source for name, chosen in data.sets.items()}
    files = account_for_files(latents, {name: store.header for name, store in stores.items()}, sources)
    shared = shared_images(contents)
    if leaks := [pair for pair in shared if pair.leaks and pair.images > most_shared]:
        described = [(pair.a, pair.b, pair.images, pair.examples) for pair in leaks]
        raise LeakError(latents, most_shared, described, _files_of_example(leaks[0], stores, data))
    sets = {name: {"images": len(rows), "duplicates_within": repeats(rows)} for name, rows in contents.items()}
    return {"format": GUARD_FORMAT, "sets": sets, "files": files, "shared": [asdict(pair) for pair in shared]}


def _files_of_example(pair: SharedImages, stores: dict[str, Store], data: DataParams) -> list[str]:
    """Return the files that the first of two sets' shared images is in, of those sets that are folders of files."""
    from contextlib import suppress

    from pipeline.runtime.errors import ImageFileError

    files = []
    for name, row in zip((pair.a, pair.b), pair.examples[0], strict=True):
        encoded = stores[name].header.provenance.get("files")
        if encoded is None:
            continue
        with suppress(ImageFileError):
            images = data.open(name)
            if images.files is not None and images.files["digest"] == encoded["digest"]:
                files.append(str(images.paths[row]))
    return files


def _near_duplicates(folders: dict[str, Path], ratio: float) -> dict[str, Any]:
    """Look beside the ID training images for each other set's; `ratio` times their typical distance is the limit."""
    from dataclasses import asdict

    from pipeline.latents.latents import load_id_train, load_latents
    from pipeline.latents.leaks import near_duplicates
    from pipeline.latents.near_rows import DirectedRows
    from pipeline.latents.neighbours import typical_distance
    from pipeline.runtime.device import chosen_device
    from pipeline.runtime.progress import progress

    device = chosen_device()
    id_train = load_id_train(folders["id_train"])
    bank = id_train.values.flatten(1).to(device)
    others = [name for name in folders if name != "id_train"]
    sets = {}
    with progress("looking for near-duplicates, sets", 1 + len(others)) as advance:
        limit, known = ratio * typical_distance(bank), DirectedRows(bank)
        advance(1)
        for name in others:
            rows = load_latents(folders[name], id_train.header).values.flatten(1).to(device)
            sets[name] = asdict(near_duplicates(rows, known, limit))
            advance(1)
    return {"limit": limit, "sets": sets}


if __name__ == "__main__":
    run(guard)
