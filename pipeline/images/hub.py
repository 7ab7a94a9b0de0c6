"""Files of Hugging Face datasets: fetched once, into the hub's own cache, and then read like any local file."""

from pathlib import Path

from pipeline.errors import ImageFileError
from pipeline.images.params import HUB_FILE


def local_file(name: str) -> Path:
    """Return where a file lies: a path as it is, hf://datasets/<owner>/<dataset>@<revision>/<path> in the hub's cache.

    What is in the cache is not fetched again; a revision that is a commit is then not even asked for. Raises
    ImageFileError when the hub has no such file or cannot be reached.
    """
    found = HUB_FILE.fullmatch(name)
    if found is None:
        return Path(name)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        place = hf_hub_download(found["dataset"], found["path"], repo_type="dataset", revision=found["revision"])
    except (OSError, ValueError, EntryNotFoundError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        advice = "Check name, revision and network, or name a local Parquet file in params.yaml."
        raise ImageFileError(name, f"nothing to fetch ({reason})", "a file of a dataset on the hub", advice) from error
    return Path(place)
