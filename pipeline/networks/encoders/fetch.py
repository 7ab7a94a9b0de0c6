"""Find the files of a pretrained model: a local folder, or a repository on the Hugging Face hub."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.runtime.errors import ModelError, reason


def fetch_model(source: str, subfolder: str | None, revision: str | None, patterns: Sequence[str]) -> Path:
    """Return a local folder as it is, or a copy of the repository's files that match `patterns`.

    A model is always read from the folder, so that nothing in its files can name another place to read from.
    Raises ModelError when there is neither a folder nor a repository.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = _snapshot(source, subfolder, revision, patterns)
    found = folder / subfolder if subfolder else folder
    if not found.is_dir():
        raise ModelError(f"{source}: found no folder {subfolder!r} in it; subfolder has to name one, or be null.")
    return found


def _snapshot(source: str, subfolder: str | None, revision: str | None, patterns: Sequence[str]) -> Path:
    import huggingface_hub

    prefix = f"{subfolder}/" if subfolder else ""
    try:
        folder = huggingface_hub.snapshot_download(
            source, revision=revision, allow_patterns=[prefix + pattern for pattern in patterns]
        )
    except Exception as error:  # connection errors come from whichever package the hub's client uses
        raise ModelError(
            f"{source}: neither a folder here nor a repository that could be fetched from the hub ({reason(error)}). "
            f"Check the name and the network, or name a local folder."
        ) from error
    return Path(folder)


def fetch_file(repository: str, commit: str, name: str, size: int) -> Path:
    """Return a file of a repository on the hub from the hub's cache, fetched without a token if it is not there.

    size: in bytes; another one is not fetched. Raises ValueError then, and whatever the hub's client raises.
    """
    import huggingface_hub

    cached = huggingface_hub.try_to_load_from_cache(repository, name, revision=commit)
    if isinstance(cached, str):
        return Path(cached)
    url = huggingface_hub.hf_hub_url(repository, name, revision=commit)
    found = huggingface_hub.get_hf_file_metadata(url, token=False).size
    if found != size:
        raise ValueError(f"it has {found} bytes there, wanted {size}")
    return Path(huggingface_hub.hf_hub_download(repository, name, revision=commit, token=False))
