"""Keep unfinished work apart from outputs: it survives a crash, and becomes the output as the last act.

DVC deletes a stage's outputs before it runs, so what is left of a killed run cannot live there; and rows made
under old parameters must never be taken for rows of the new ones. Work therefore happens under
`.work/<output>/<fingerprint>/`, where the fingerprint covers everything that determines the bytes.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from pipeline.files import digest, file_digest, folder_digest, json_bytes, remove_partial_files
from pipeline.runlog import timed_run

WORK = Path(".work")


@contextmanager
def unfinished(output: Path, params: BaseModel, inputs: list[Path]) -> Iterator[Path]:
    """Yield a folder to work in that becomes `output` when, and only when, the body ends without an error.

    Work of a killed run with the same parameters, inputs and code is found again in it; work of any other run
    for the same output is deleted once the output is published.
    """
    family = WORK.joinpath(*output.parts[-2:])
    work = family / fingerprint(params, inputs)[:16]
    work.mkdir(parents=True, exist_ok=True)
    remove_partial_files(work)
    with timed_run(output, work.name):
        yield work
    remove_partial_files(work)
    _publish(work, output)
    shutil.rmtree(family)


def fingerprint(params: BaseModel, inputs: list[Path]) -> str:
    """Return a digest of the parameters, the inputs' contents and the code now loaded."""
    facts = {
        "params": params.model_dump(mode="json"),
        "inputs": {path.as_posix(): _content_digest(path) for path in inputs},
        "code": loaded_code(),
    }
    return digest(json_bytes(facts))


def loaded_code() -> dict[str, str]:
    """Return the digest of every module of this project that the running process has imported."""
    return {
        name: file_digest(Path(module.__file__))
        for name, module in sorted(sys.modules.items())
        if name.split(".")[0] in ("pipeline", "stages") and module.__file__ is not None
    }


def _content_digest(path: Path) -> str:
    manifest = path / "manifest.json"
    if manifest.is_file():
        return file_digest(manifest)
    return folder_digest(path) if path.is_dir() else file_digest(path)


def _publish(work: Path, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.is_dir():
        shutil.rmtree(output)
    work.rename(output)
