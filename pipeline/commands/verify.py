"""Check every output of a project: against its manifest, or against what DVC recorded where it has none."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.runtime.errors import DamagedOutputError, PipelineError
from pipeline.runtime.files import MANIFEST, open_regular
from pipeline.runtime.manifest import all_names, check_output, read_manifest
from pipeline.runtime.progress import progress
from pipeline.runtime.text.terminal import Console
from pipeline.sharing.recorded import Recorded, recorded_outputs
from pipeline.store.format import FORMAT
from pipeline.store.reader import Store


class Verified(NamedTuple):
    """The state of an output."""

    output: str
    state: Literal["whole", "damaged", "not here", "unknown"]
    detail: str


def verify_project(console: Console) -> None:
    """Check all outputs that are here, and print every problem; raises DamagedOutputError unless all are whole."""
    outputs = recorded_outputs()
    with progress("verifying outputs", len(outputs)) as advance:
        results = [_verified(output, advance) for output in outputs]
    for result in results:
        if result.state != "whole":
            text = f"{result.state}: {result.output}{': ' if result.detail else ''}{result.detail}"
            console.print(text, soft_wrap=True)
    counts = {state: sum(result.state == state for result in results) for state in ("whole", "not here", "unknown")}
    summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count or state == "whole")
    console.print(f"{len(results)} outputs: {summary}")
    if damaged := [result for result in results if result.state == "damaged"]:
        advice = "See the lines above; `dvc checkout` or `dvc repro` restores what was deleted."
        raise DamagedOutputError("this project", f"{len(damaged)} damaged outputs of {len(results)}", "none", advice)


def _verified(output: Recorded, advance: Callable[[int], None]) -> Verified:
    name = output.path.as_posix()
    try:
        if not output.path.exists():
            return Verified(name, "not here", "`dvc repro` makes it, `dvc pull` fetches it")
        if (output.path / MANIFEST).is_file():
            _check_manifests(output.path)
        elif output.md5s is None:
            return Verified(name, "unknown", "it has no manifest, and DVC has no record of it here")
        else:
            _check_record(output.path, output.md5s)
    except PipelineError as error:
        return Verified(name, "damaged", str(error))
    finally:
        advance(1)
    return Verified(name, "whole", "")


def _check_manifests(output: Path) -> None:
    """Check the files of every manifest in an output: of its own, and of the stores in it."""
    for folder in _with_manifest(output):
        if (read_manifest(folder / MANIFEST) or {}).get("format") == FORMAT:
            Store(folder).verify(lambda _: None)
        else:
            check_output(folder)


def _with_manifest(output: Path) -> Iterator[Path]:
    for parent, _, files in os.walk(output):
        if MANIFEST in files:
            yield Path(parent)


def _check_record(output: Path, md5s: dict[str, str]) -> None:
    """Compare the files of an output with what DVC recorded; raises DamagedOutputError, which names the first."""
    advice = f"Delete {output}, then restore it with `dvc checkout` or `dvc repro`."
    names = set(all_names(output)) if output.is_dir() else {"."}
    for name in sorted(names ^ md5s.keys()):
        found = "no such file" if name in md5s else "a file that DVC did not record"
        raise DamagedOutputError(output / name, found, "what DVC recorded", advice)
    for name, wanted in md5s.items():
        try:
            with open_regular(output / name, inside=output.parent) as stream:
                digest = hashlib.file_digest(stream, _md5)  # type: ignore[arg-type]  # a raw file has readinto
                found = digest.hexdigest()
        except OSError as error:
            raise DamagedOutputError(output / name, error.strerror or str(error), "a regular file", advice) from error
        if found != wanted:
            raise DamagedOutputError(output / name, f"MD5 {found[:12]}", f"{wanted[:12]}, as DVC recorded", advice)


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
