"""Keep unfinished work apart from outputs: it survives a crash, and becomes the output as the last act.

DVC deletes a stage's outputs before it runs, so what is left of a killed run cannot live there; and rows made
under old parameters must never be taken for rows of the new ones. Work therefore happens under
`.work/<output>/<fingerprint>/`, where the fingerprint covers everything that determines the bytes.
"""

import fcntl
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.device import chosen_device
from pipeline.errors import BusyError, MissingInputError
from pipeline.files import digest, file_digest, folder_digest, json_bytes, remove_partial_files
from pipeline.runlog import timed_run

WORK = Path(".work")
LIBRARIES = ("diffusers", "numpy", "pillow", "scikit-learn", "torch", "transformers")
"""Whose version may change a byte: half an output is not finished by another one."""


@contextmanager
def unfinished(output: Path, facts: Mapping[str, object], inputs: list[Path], **how: object) -> Iterator[Path]:
    """Yield a folder to work in that becomes `output` when, and only when, the body ends without an error.

    facts: what determines the bytes beside the inputs' contents and the code: name, parameters, seed. how: what the
    log is to say of the run too.
    Work of a killed run with the same facts, inputs and code is found again in it; work of any other run for the same
    output is deleted once the output is published. Raises BusyError while another process makes the same output, and
    MissingInputError when an input is not there.
    """
    home = WORK / f"{output.name}-{digest(str(output.absolute()).encode())[:8]}"
    work = home / fingerprint(facts, inputs)[:16]
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home, output):
        work.mkdir(exist_ok=True)  # not before: another run that is ending deletes every folder in `home`
        remove_partial_files(work)
        with timed_run(output, work.as_posix(), **how):
            yield work
            remove_partial_files(work)
            _publish(work, output)
        for stale in home.iterdir():
            if stale.is_dir():
                shutil.rmtree(stale)


def fingerprint(facts: Mapping[str, object], inputs: list[Path]) -> str:
    """Return a digest of the facts, the inputs' contents, the code now loaded, the libraries and the kind of device."""
    return digest(
        json_bytes(
            {
                "facts": dict(facts),
                "inputs": {path.as_posix(): _content_digest(path) for path in inputs},
                "code": loaded_code(),
                "libraries": library_versions(),
                "device": chosen_device().type,
            }
        )
    )


def note_forgotten(folder: Path, wanted: Iterable[str]) -> None:
    """Say which folders under `folder` no parameter asks for any more.

    DVC leaves the output of a stage that is gone where it is, and counts it into the hash of the folder above.
    """
    if not folder.is_dir():
        raise MissingInputError(folder)
    names = set(wanted)
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in names):
        sys.stderr.write(f"note: nothing in params.yaml asks for {path} any more; delete it, it changes hashes\n")


def loaded_code() -> dict[str, str]:
    """Return the digest of every module of this project that the running process has imported."""
    return {
        name: file_digest(Path(module.__file__))
        for name, module in sorted(sys.modules.items())
        if name.split(".")[0] in ("pipeline", "stages") and module.__file__ is not None
    }


def library_versions() -> dict[str, str]:
    """Return the version of each of LIBRARIES that is installed."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


@contextmanager
def _alone(home: Path, output: Path) -> Iterator[None]:
    """Hold the lock on one output's work; the system gives it back when the process ends, however it ends."""
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(output) from error
        yield


def _content_digest(path: Path) -> str:
    if not path.exists():
        raise MissingInputError(path)
    manifest = path / "manifest.json"
    if manifest.is_file():
        return file_digest(manifest)
    return folder_digest(path) if path.is_dir() else file_digest(path)


def _publish(work: Path, output: Path) -> None:
    """Put `work` in the place of `output`, so that a reader finds the old one, nothing, or the new one."""
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.is_dir():
        output.rename(work.with_name(f"{work.name}.replaced"))
    work.rename(output)
