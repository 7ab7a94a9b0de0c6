"""Compare what DVC recorded with what a remote holds, byte by byte, and say how to mend it.

`dvc push` looks no further than the listing of a folder (its `.dir` object), and calls a remote up to date whose
objects are damaged or gone.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from pipeline.errors import PipelineError, RemoteDamagedError, SharingError
from pipeline.progress import progress
from pipeline.store.format import PIECE_BYTES

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

JOBS = 8
"""Objects read side by side; most of the time goes into waiting for the remote."""
LISTING = ".dir"
"""What DVC calls the object that lists a folder's files."""


@dataclass(frozen=True)
class Wanted:
    """An object that a remote should hold."""

    oid: str
    """MD5 of its content; that of a listing ends with `.dir`."""
    file: str
    """The file, or the folder of a listing."""
    listing: str | None
    """The listing that names it."""


@dataclass(frozen=True)
class Finding:
    """What the remote holds instead of what it should."""

    wanted: Wanted
    state: Literal["whole", "missing", "altered"]
    url: str
    bytes: int


@dataclass(frozen=True)
class RemoteReport:
    """All that was compared."""

    remote: str
    outputs: tuple[str, ...]
    imported: tuple[str, ...]
    """Outputs that `dvc import` brought: they lie on the remote of where they come from, and were not compared."""
    findings: tuple[Finding, ...]
    listing_urls: dict[str, str]


def check_remote(remote: str | None, targets: Iterable[Path]) -> RemoteReport:
    """Read every object of the outputs at or below `targets` from the remote and compare its MD5 with its name.

    Raises SharingError when there is no such remote or output, or it cannot be reached.
    """
    with _explained(remote or "the default remote"):
        from dvc.repo import Repo

        with Repo() as repo:
            odb = repo.cloud.get_remote_odb(remote, "remote-check")
            outs = _outputs(repo, list(targets))
            own = [out for out in outs if not out.stage.is_import]
            wanted = {one.oid: one for out in own for one in _objects(out, repo.cache.local, odb)}
            return RemoteReport(
                remote=str(odb.fs.unstrip_protocol(odb.path)),
                outputs=tuple(map(str, own)),
                imported=tuple(str(out) for out in outs if out.stage.is_import),
                findings=_read_all(list(wanted.values()), odb),
                listing_urls={one.listing: _url(odb, one.listing) for one in wanted.values() if one.listing},
            )


def print_findings(report: RemoteReport, console: Console) -> None:
    """Print what was compared; what to delete, too. Raises RemoteDamagedError unless all of it is whole."""
    read = sum(found.bytes for found in report.findings)
    say = console.print
    say(f"{report.remote}: {len(report.findings)} objects of {len(report.outputs)} outputs, {read:,} bytes read")
    for name in report.imported:
        say(f"not compared: {name}, imported; run remote-check in the repository it comes from")
    bad = [found for found in report.findings if found.state != "whole"]
    if not bad:
        say("every object is whole")
        return
    for found in bad:
        say(f"{found.state}: {found.wanted.file}", soft_wrap=True)
    altered = {found.url for found in bad if found.state == "altered"}
    missing = {found.url for found in bad if found.state == "missing"}
    listings = {report.listing_urls[found.wanted.listing] for found in bad if found.wanted.listing}
    for url in sorted((altered | listings) - missing):
        say(f"delete: {url}", soft_wrap=True)
    raise RemoteDamagedError(report.remote, len(bad), len(report.findings))


def _outputs(repo: "Repo", targets: list[Path]) -> list["Output"]:
    """Return the recorded outputs at or below any of `targets`."""
    folders = [(Path.cwd() / target).resolve() for target in targets]
    found = [
        out
        for out in repo.index.outs
        if out.hash_info and any(Path(out.fs_path).resolve().is_relative_to(folder) for folder in folders)
    ]
    if not found:
        names = ", ".join(map(str, targets))
        raise SharingError(names, "no output there that dvc.lock or a .dvc file records; run `dvc repro` first")
    return found


def _objects(out: "Output", cache: "HashFileDB", odb: "HashFileDB") -> Iterator[Wanted]:
    oid = str(out.hash_info.value)
    yield Wanted(oid, str(out), None)
    if not oid.endswith(LISTING):
        return
    for entry in _listing(oid, cache) or _listing(oid, odb) or ():
        yield Wanted(entry["md5"], f"{out}/{entry['relpath']}", oid)


def _listing(oid: str, odb: "HashFileDB") -> list[dict[str, Any]] | None:
    """Return the files of a folder, or None where the listing is not there or not what its name says."""
    try:
        content = bytes(odb.fs.cat_file(odb.oid_to_path(oid)))
    except FileNotFoundError:
        return None
    if hashlib.md5(content, usedforsecurity=False).hexdigest() + LISTING != oid:
        return None
    listed: list[dict[str, Any]] = json.loads(content)
    return listed


def _read_all(wanted: list[Wanted], odb: "HashFileDB") -> tuple[Finding, ...]:
    with progress("reading the remote, objects", len(wanted)) as advance, ThreadPoolExecutor(JOBS) as pool:

        def read(one: Wanted) -> Finding:
            found = _compared(one, odb)
            advance(1)
            return found

        return tuple(pool.map(read, wanted))


def _compared(wanted: Wanted, odb: "HashFileDB") -> Finding:
    found, size = hashlib.md5(usedforsecurity=False), 0
    url = _url(odb, wanted.oid)
    try:
        with odb.fs.open(odb.oid_to_path(wanted.oid), "rb") as stream:
            while piece := stream.read(PIECE_BYTES):
                found.update(piece)
                size += len(piece)
    except FileNotFoundError:
        return Finding(wanted, "missing", url, 0)
    same = found.hexdigest() == wanted.oid.removesuffix(LISTING)
    return Finding(wanted, "whole" if same else "altered", url, size)


def _url(odb: "HashFileDB", oid: str) -> str:
    return str(odb.fs.unstrip_protocol(odb.oid_to_path(oid)))


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn errors of DVC and of the connection into ours."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:  # every kind of remote brings its own
        raise SharingError(what, str(error) or type(error).__name__) from error
