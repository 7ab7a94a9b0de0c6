"""Open exactly the addressed dataset with the library `datasets`, without other output than an error in one line."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import CRITICAL
from os.path import normpath
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, model_validator

from pipeline.runtime.errors import ImageFileError, PipelineError
from pipeline.runtime.progress import waiting
from pipeline.schema.section import Name, Section

NO_FOLDER_ADVICE = (
    "Put it there, or correct `dataset` in params.yaml; for a dataset on the hub, set `revision` to one of its commits."
)
FOLDER_ADVICE = "Write the folder again, correct `config`, or name another dataset in params.yaml."
HUB_ADVICE = (
    "Check `dataset`, `config`, `revision` and the network (`hf auth login` gives access to gated ones), and delete "
    "what is damaged in the library's cache. Without a network, name a local folder, or Parquet files with kind "
    "'parquet'."
)


HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def _commit(revision: str) -> str:
    if not re.fullmatch("[0-9a-f]{40}", revision):
        raise ValueError("wanted a commit of 40 hexadecimal digits: a branch or a tag may move")
    return revision


Commit = Annotated[str, AfterValidator(_commit)]


class DatasetAddress(Section):
    """The address of a dataset that the library `datasets` opens: a local folder, or a commit of a hub repository."""

    dataset: Name
    """Path of the folder from the project's root; with `revision`, an id on the hub: owner/name."""
    config: Name | None
    """Name of its configuration; null: the only one, or the default. A dataset on the hub must name it."""
    revision: Commit | None
    """A commit on the hub; null: a local folder, and the hub is never asked."""

    @model_validator(mode="after")
    def _hub_address_is_exact(self) -> Self:
        if self.revision is not None and not HUB_ID.fullmatch(self.dataset):
            raise ValueError(f"dataset is {self.dataset!r}, wanted owner/name: a `revision` is for the hub")
        if self.revision is not None and self.config is None:
            raise ValueError("config is null, wanted its name on the hub ('default' if the dataset gives it none)")
        return self


def advice(address: DatasetAddress) -> str:
    """Return what to do when a dataset cannot be read."""
    return FOLDER_ADVICE if address.revision is None else HUB_ADVICE


def open_dataset(address: DatasetAddress) -> Any:
    """Return the datasets.DatasetDict of all splits, or a datasets.Dataset if it was saved without splits.

    From the hub, only the commit of the address is used. Raises ImageFileError.
    """
    is_local = address.revision is None
    if is_local and not Path(address.dataset).is_dir():
        raise ImageFileError(address.dataset, "no folder", "a dataset in a folder", NO_FOLDER_ADVICE)
    with waiting(f"opening {address.dataset}"), _quiet(), _explained(address):
        return _from_folder(Path(address.dataset).resolve(), address) if is_local else _from_hub(address)


def one_line(error: BaseException) -> str:
    """Return an error of the library in one line; for a DatasetGenerationError, which says no reason, its cause."""
    cause = error.__cause__ if type(error).__name__ == "DatasetGenerationError" and error.__cause__ else error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())}"[:300]


def _from_hub(address: DatasetAddress) -> Any:
    import datasets

    url = f"hf://datasets/{address.dataset}"  # a bare id could also mean a local folder of that name
    builder = datasets.load_dataset_builder(url, address.config, revision=address.revision)
    # without a network the library uses the newest commit in its cache, whatever was asked for
    if builder.hash != address.revision:
        found = f"no commit but {builder.hash}"
        raise ImageFileError(address.dataset, found, f"commit {address.revision}", HUB_ADVICE)
    builder.download_and_prepare()
    return builder.as_dataset()


def _from_folder(folder: Path, address: DatasetAddress) -> Any:
    import datasets

    saved = (datasets.config.DATASETDICT_JSON_FILENAME, datasets.config.DATASET_STATE_JSON_FILENAME)
    if any((folder / name).is_file() for name in saved):
        if address.config is not None:
            found = f"config {address.config!r}, and a dataset as save_to_disk writes it"
            raise ImageFileError(
                address.dataset, found, "config null, as a saved dataset has none", "Correct params.yaml."
            )
        dataset = datasets.load_from_disk(str(folder))
        splits = dataset.values() if isinstance(dataset, datasets.DatasetDict) else [dataset]
        _require_inside(folder, address, [file["filename"] for split in splits for file in split.cache_files])
        return dataset
    builder = datasets.load_dataset_builder(str(folder), address.config)
    _require_inside(folder, address, [str(file) for files in builder.config.data_files.values() for file in files])
    builder.download_and_prepare()
    return builder.as_dataset()


def _require_inside(folder: Path, address: DatasetAddress, files: list[str]) -> None:
    """Raise ImageFileError when the description of a dataset names a file outside its folder."""
    for file in map(normpath, files):
        if not Path(file).is_relative_to(folder):
            found = f"a description that names {file}"
            raise ImageFileError(address.dataset, found, "files of its own folder", FOLDER_ADVICE)


@contextmanager
def _explained(address: DatasetAddress) -> Iterator[None]:
    try:
        yield
    except (PipelineError, MemoryError):
        raise
    except Exception as error:  # the library raises whatever damaged or missing files lead to
        found, wanted = f"nothing to open ({one_line(error)})", "a dataset that the library datasets opens"
        raise ImageFileError(address.dataset, found, wanted, advice(address)) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress progress bars, log messages and warnings of the libraries datasets and huggingface_hub."""
    import datasets
    import huggingface_hub

    libraries = (datasets.utils, huggingface_hub.utils)
    with_bars = [library for library in libraries if not library.are_progress_bars_disabled()]
    levels = [(logging, logging.get_verbosity()) for logging in (datasets.logging, huggingface_hub.logging)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library in with_bars:
            library.disable_progress_bars()
        for logging, _ in levels:
            logging.set_verbosity(CRITICAL)
        try:
            yield
        finally:
            for library in with_bars:
                library.enable_progress_bars()
            for logging, level in levels:
                logging.set_verbosity(level)
