"""Compare what DVC recorded with what a remote holds, byte by byte, and say how to mend it.

`dvc push` looks no further than the listing of a folder (its `.dir` object), and calls a remote up to date whose
objects are damaged or gone. While one listing is there that names an object, of whatever folder, it is not sent again.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
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
    """The first file with that content, or the folder of a listing."""
    listings: tuple[str, ...]
    """All listings that name it, those of outputs that are not compared among them."""


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
    to_delete: tuple[str, ...]
    """URLs of what is there and keeps `dvc push` from sending again what is missing or altered."""


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
            findings = _read_all(_wanted(own, repo, odb), odb)
            return RemoteReport(
                remote=str(odb.fs.unstrip_protocol(odb.path)),
                outputs=tuple(map(str, own)),
                imported=tuple(str(out) for out in outs if out.stage.is_import),
                findings=findings,
                to_delete=_to_delete(findings, odb),
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
    for url in report.to_delete:
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


def _wanted(outs: list["Output"], repo: "Repo", odb: "HashFileDB") -> list[Wanted]:
    """Return the objects of `outs`, each once; the listings that name them may be those of any output."""
    others = [out for out in repo.index.outs if out.hash_info and not out.stage.is_import and out not in outs]
    files: dict[str, str] = {}
    listings: defaultdict[str, set[str]] = defaultdict(set)
    for out in outs:
        files.setdefault(str(out.hash_info.value), str(out))
        for oid, name, listing in _listed(out, repo, odb):
            files.setdefault(oid, f"{out}/{name}")
            listings[oid].add(listing)
    for oid, _, listing in chain.from_iterable(_listed(out, repo, odb) for out in others):
        if oid in files:
            listings[oid].add(listing)
    return [Wanted(oid, file, tuple(listings[oid])) for oid, file in files.items()]


def _listed(out: "Output", repo: "Repo", odb: "HashFileDB") -> Iterator[tuple[str, str, str]]:
    """Yield the object and name of each file of a folder, and the folder's listing."""
    oid = str(out.hash_info.value)
    if oid.endswith(LISTING):
        for entry in _listing(oid, repo.cache.local) or _listing(oid, odb) or ():
            yield entry["md5"], entry["relpath"], oid


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


def _to_delete(findings: tuple[Finding, ...], odb: "HashFileDB") -> tuple[str, ...]:
    """Return the URLs of what is altered, and of every listing that is there and names something missing or altered."""
    bad = [found for found in findings if found.state != "whole"]
    listings = {listing for found in bad for listing in found.wanted.listings}
    altered = {found.url for found in bad if found.state == "altered"}
    return tuple(sorted(altered | {_url(odb, listing) for listing in listings if odb.exists(listing)}))


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
