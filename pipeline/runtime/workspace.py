"""Keep unfinished work separate from outputs. It survives a crash, and is renamed to the output as the last step.

DVC deletes the outputs of a stage before the stage runs, so unfinished work cannot be kept there. Rows made with old
parameters must never be taken for rows made with new ones. So work happens under `.work/<output>/<fingerprint>/`, on
the file system of the output. The fingerprint covers all inputs that determine the bytes of the output.
"""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.runtime.code import effective_code, library_versions
from pipeline.runtime.device import chosen_device
from pipeline.runtime.errors import BusyError, MissingInputError
from pipeline.runtime.files import MANIFEST, WORK, digest, file_digest, folder_digest, json_bytes, remove_partial_files
from pipeline.runtime.manifest import checked_digest, seal
from pipeline.runtime.outputs import require_recordable, run_by_dvc, work_folder
from pipeline.runtime.run_log import timed_run
from pipeline.runtime.text.terminal import warn


@contextmanager
def publish_when_done(
    output: Path, facts: Mapping[str, object], inputs: list[Path], **logged: object
) -> Iterator[Path]:
    """Yield a work folder, which becomes `output` if, and only if, the body ends without an error.

    facts: what determines the bytes in addition to inputs and code, such as name, parameters and seed.
    inputs: files and folders whose contents determine the bytes.
    logged: further facts for the run log.
    The folder holds the work of a killed run with the same facts, inputs and code. Work of other runs for the same
    output is deleted after the output is published.
    The output gets a manifest with the digests of its files, and inputs are compared with theirs.
    Raises BusyError while another process makes the same output, MissingInputError when an input is missing, and
    DamagedOutputError when one is not as its stage wrote it.
    """
    if run_by_dvc():
        require_recordable(output)
    name = f"{output.name}-{digest(os.fsencode(_from_root(output)))[:8]}"
    home = WORK / name
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home, output):
        work = work_folder(output) / name / fingerprint(facts, inputs)[:16]
        # needs the lock: another run that is ending deletes all folders in `home`
        work.mkdir(parents=True, exist_ok=True)
        remove_partial_files(work)
        with timed_run(output, work.as_posix(), **logged):
            yield work
            remove_partial_files(work)
            seal(work)
            _publish(work, output)
        for stale in {*home.iterdir(), *work.parent.iterdir()}:
            if stale.is_dir():
                shutil.rmtree(stale)
        if work.parent != home:
            work.parent.rmdir()


def fingerprint(facts: Mapping[str, object], inputs: list[Path]) -> str:
    """Return a digest of facts, contents of inputs, loaded code, library versions and device type."""
    return digest(
        json_bytes(
            {
                "facts": dict(facts),
                "inputs": {_from_root(path): _content_digest(path) for path in inputs},
                "code": effective_code(),
                "libraries": library_versions(),
                "device": chosen_device().type,
            }
        )
    )


def warn_of_orphaned_outputs(folder: Path, wanted: Iterable[str]) -> None:
    """Warn on stderr of folders under `folder` whose name is not in `wanted`.

    DVC does not delete the output of a stage that was removed, and includes it in the hash of the parent folder.
    Raises MissingInputError when `folder` does not exist.
    """
    if not folder.is_dir():
        raise MissingInputError(folder)
    names = {*wanted, WORK.name}
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in names):
        advice = f"delete it, or DVC counts it into {folder}"
        warn(f"warning: {path} is left over, as params.yaml does not name it; {advice}")


@contextmanager
def _locked(home: Path, output: Path) -> Iterator[None]:
    """Hold the lock on an output's work; raises BusyError when another process has it.

    The system releases the lock when the process ends, even if it is killed.
    """
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(output) from error
        yield


def _from_root(path: Path) -> str:
    """Return a path from the project's root, where stages run, so that work is found again after the project moved."""
    return os.path.relpath(path)


def _content_digest(path: Path) -> str:
    if not path.exists():
        raise MissingInputError(path)
    if (path / MANIFEST).is_file():
        return checked_digest(path)
    return folder_digest(path) if path.is_dir() else file_digest(path)


def _publish(work: Path, output: Path) -> None:
    """Replace `output` by `work`. A reader sees the old output, none, or the new output, but never a mixture."""
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.is_dir():
        output.rename(work.with_name(f"{work.name}.replaced"))
    work.rename(output)
