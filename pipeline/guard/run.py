"""Run the stage: from the latents of all image sets to `reports/guard.json`, or an error when a test image leaks."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, chosen_device, prepare_torch
from pipeline.errors import ImageFileError, LeakError
from pipeline.files import printable, write_json
from pipeline.guard.compare import Shared, near_duplicates, repeats, shared_images
from pipeline.guard.files import account
from pipeline.guard.params import Params
from pipeline.guard.report import GUARD_FORMAT
from pipeline.images.params import DataParams
from pipeline.images.source import open_image_set
from pipeline.latents import load_id_train, load_latents, store_contents
from pipeline.neighbours import typical_distance
from pipeline.progress import progress
from pipeline.runlog import timed_run
from pipeline.store.reader import Store
from pipeline.workspace import note_forgotten

PASSED = {"passed": True}
"""The same whenever the check passes, so that what waits for it runs again only when it has to."""


def compare_sets(params_file: Path, latents: Path, report_file: Path, passed_file: Path) -> None:
    """Compare every two image sets; write the report and, last, the file that training waits for.

    Neither file is left behind, nor an older one, when an image leaks (LeakError) or a store cannot be read.
    """
    params = load_params(params_file, Params)
    passed_file.unlink(missing_ok=True)
    report_file.unlink(missing_ok=True)
    note_forgotten(latents, params.data.sets)
    prepare_torch(STAGE_THREADS)
    with timed_run(report_file, ""):
        folders = {name: latents / name for name in params.data.sets}
        stores = {name: Store(folder) for name, folder in folders.items()}
        contents = {name: store_contents(store) for name, store in stores.items()}
        sources = {name: chosen.source for name, chosen in params.data.sets.items()}
        files = account(latents, {name: store.header for name, store in stores.items()}, sources)
        shared = shared_images(contents)
        if leaks := [pair for pair in shared if pair.leaks and pair.images > params.guard.most_shared]:
            told = [(pair.a, pair.b, pair.images, pair.examples) for pair in leaks]
            raise LeakError(latents, params.guard.most_shared, told, _files_of_example(leaks[0], stores, params.data))
        report = {
            "format": GUARD_FORMAT,
            "sets": {
                name: {"images": len(found), "duplicates_within": repeats(found)} for name, found in contents.items()
            },
            "files": files,
            "shared": [asdict(pair) for pair in shared],
            "near_duplicates": _near_duplicates(folders, params.guard.near_duplicate),
        }
        write_json(report_file, report)
        write_json(passed_file, PASSED)


def _files_of_example(pair: Shared, stores: dict[str, Store], data: DataParams) -> list[str]:
    """Return the files that the first of two sets' shared images is in, of those sets that are folders of files."""
    found = []
    for name, row in zip((pair.a, pair.b), pair.examples[0], strict=True):
        encoded = stores[name].header.provenance.get("files")
        if encoded is None:
            continue
        with suppress(ImageFileError):
            images = open_image_set(name, data)
            if images.files is not None and images.files["digest"] == encoded["digest"]:
                found.append(printable(str(images.paths[row])))
    return found


def _near_duplicates(folders: dict[str, Path], ratio: float) -> dict[str, Any]:
    """Look beside the ID training images for each other set's; `ratio` times their typical distance is the limit."""
    device = chosen_device()
    id_train = load_id_train(folders["id_train"])
    bank = id_train.values.flatten(1).to(device)
    others = [name for name in folders if name != "id_train"]
    found = {}
    with progress("looking for near-duplicates, sets", 1 + len(others)) as advance:
        limit = ratio * typical_distance(bank)
        advance(1)
        for name in others:
            rows = load_latents(folders[name], id_train.header).values.flatten(1).to(device)
            found[name] = asdict(near_duplicates(rows, bank, limit))
            advance(1)
    return {"limit": limit, "sets": found}
