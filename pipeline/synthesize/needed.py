"""Which of the pipeline's models a method needs: `models/needed_by/<method>.json`, of which DVC sees changes.

The file is in git, and empty, where a method needs none; that of `label_mixup` is written by the stage `denoiser`. So
each method waits for what it needs and for nothing else, in a graph that lists methods by their names only.
"""

from pathlib import Path

from pipeline.errors import MissingInputError, ModelError
from pipeline.files import folder_digest, read_json


def needed_models(models: Path, method: str) -> dict[str, str]:
    """Return the digest of each model folder in `models` that `method` needs, by its name.

    Raises MissingInputError when one is not there, ModelError when it is not the one the file names.
    """
    path = models / "needed_by" / f"{method}.json"
    if not path.is_file():
        raise MissingInputError(path)
    try:
        wanted: dict[str, str] = dict(read_json(path))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path}: found no JSON object in it ({error}). Run `dvc repro`.") from error
    for name, digest in wanted.items():
        folder = models / name
        if not folder.is_dir():
            raise MissingInputError(folder)
        if (found := folder_digest(folder)) != digest:
            raise ModelError(
                f"{folder}: its content is {found[:12]}…, but {path} names {str(digest)[:12]}…. "
                f"Run `dvc repro {name}`, or `dvc pull {name}` when it was pulled in part."
            )
    return wanted
