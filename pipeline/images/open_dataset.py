"""Open a dataset with the library `datasets`, quietly, exactly as it is addressed, or say in one line why not."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import CRITICAL
from os.path import normpath
from pathlib import Path
from typing import Any

from pipeline.errors import ImageFileError, PipelineError
from pipeline.images.table_params import DatasetAddress
from pipeline.progress import waiting

LOCAL = "Put it there, or correct `dataset` in params.yaml; one on the hub is told by the commit in its `revision`."
MEND = "Write the folder again, correct `config`, or name another dataset in params.yaml."
FETCH = (
    "Check `dataset`, `config`, `revision` and the network (`hf auth login` gives access to gated ones), and delete "
    "what is damaged in the library's cache. Without a network, name a local folder, or Parquet files with kind "
    "'parquet'."
)


def advice(address: DatasetAddress) -> str:
    """Return what to do where a dataset cannot be read."""
    return MEND if address.revision is None else FETCH


def open_dataset(address: DatasetAddress) -> Any:
    """Return the datasets.DatasetDict of all splits or, where one was saved without any, a datasets.Dataset.

    Of the hub nothing but the commit of the address is taken. Raises ImageFileError.
    """
    here = address.revision is None
    if here and not Path(address.dataset).is_dir():
        raise ImageFileError(address.dataset, "no folder", "a dataset in a folder", LOCAL)
    with waiting(f"opening {address.dataset}"), _quiet(), _explained(address):
        return _from_folder(Path(address.dataset).resolve(), address) if here else _from_hub(address)


def words(error: BaseException) -> str:
    """Return what an error of the library says in one line; of one that only says when it came, the error behind it."""
    told = error.__cause__ if type(error).__name__ == "DatasetGenerationError" and error.__cause__ else error
    return f"{type(told).__name__}: {' '.join(str(told).split())}"[:300]


def _from_hub(address: DatasetAddress) -> Any:
    import datasets

    place = f"hf://datasets/{address.dataset}"  # a folder of that name that lies here is never taken for it
    builder = datasets.load_dataset_builder(place, address.config, revision=address.revision)
    # without a network the library takes the newest commit that it has in its cache, whatever was asked for
    if builder.hash != address.revision:
        found = f"no commit but {builder.hash}"
        raise ImageFileError(address.dataset, found, f"commit {address.revision}", FETCH)
    builder.download_and_prepare()
    return builder.as_dataset()


def _from_folder(folder: Path, address: DatasetAddress) -> Any:
    import datasets

    saved = (datasets.config.DATASETDICT_JSON_FILENAME, datasets.config.DATASET_STATE_JSON_FILENAME)
    if any((folder / name).is_file() for name in saved):
        if address.config is not None:
            found = f"config {address.config!r}, and a dataset as save_to_disk writes it"
            raise ImageFileError(address.dataset, found, "config null, as such a one has none", "Correct params.yaml.")
        found = datasets.load_from_disk(str(folder))
        each = found.values() if isinstance(found, datasets.DatasetDict) else [found]
        _require_inside(folder, address, [file["filename"] for split in each for file in split.cache_files])
        return found
    builder = datasets.load_dataset_builder(str(folder), address.config)
    _require_inside(folder, address, [str(file) for files in builder.config.data_files.values() for file in files])
    builder.download_and_prepare()
    return builder.as_dataset()


def _require_inside(folder: Path, address: DatasetAddress, files: list[str]) -> None:
    """Raise ImageFileError where a dataset's own description names a file that is not below its folder."""
    for file in map(normpath, files):
        if not Path(file).is_relative_to(folder):
            raise ImageFileError(address.dataset, f"a description that names {file}", "files of its own folder", MEND)


@contextmanager
def _explained(address: DatasetAddress) -> Iterator[None]:
    try:
        yield
    except (PipelineError, MemoryError):
        raise
    except Exception as error:  # the library raises whatever damaged or missing files lead to
        found = f"nothing to open ({words(error)})"
        raise ImageFileError(
            address.dataset, found, "a dataset that the library datasets opens", advice(address)
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's bars, notes and warnings, and those of the hub's, off the terminal: an error says it all."""
    import datasets
    import huggingface_hub

    bars = [kept for kept in (datasets.utils, huggingface_hub.utils) if not kept.are_progress_bars_disabled()]
    logs = [(kept, kept.get_verbosity()) for kept in (datasets.logging, huggingface_hub.logging)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kept in bars:
            kept.disable_progress_bars()
        for log, _ in logs:
            log.set_verbosity(CRITICAL)
        try:
            yield
        finally:
            for kept in bars:
                kept.enable_progress_bars()
            for log, verbosity in logs:
                log.set_verbosity(verbosity)
