"""Compare the objects that DVC recorded with those on a remote, byte by byte, and print how to repair the remote.

`dvc push` checks only the listing of a folder (its `.dir` object), so it calls a remote up to date whose objects are
damaged or missing. It does not send an object again while the remote has any listing that names the object.
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

from pipeline.runtime.errors import PipelineError, RemoteDamagedError, SharingError
from pipeline.runtime.progress import progress
from pipeline.runtime.text.terminal import Console
from pipeline.store.format import PIECE_BYTES

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

JOBS = 8
"""Number of objects that are read in parallel; most of the time is spent waiting for the remote."""
LISTING = ".dir"
"""Suffix, in DVC, of the object that lists the files of a folder."""


@dataclass(frozen=True)
class ExpectedObject:
    """An object that the remote should hold."""

    oid: str
    """MD5 of the content; for a listing, followed by `.dir`."""
    file: str
    """The first file with this content, or the folder of the listing."""
    listings: tuple[str, ...]
    """All listings that name the object, including those of outputs that are not compared."""


@dataclass(frozen=True)
class CheckedObject:
    """An expected object, and its state on the remote."""

    expected: ExpectedObject
    state: Literal["whole", "missing", "altered"]
    url: str
    bytes: int
    """Number of bytes read."""


@dataclass(frozen=True)
class RemoteReport:
    """The result of the comparison."""

    remote: str
    outputs: tuple[str, ...]
    imported: tuple[str, ...]
    """Outputs of `dvc import`: they are on the remote of their own repository, and were not compared."""
    objects: tuple[CheckedObject, ...]
    to_delete: tuple[str, ...]
    """URLs of objects that keep `dvc push` from sending missing or altered objects again."""


def check_remote(remote: str | None, targets: Iterable[Path]) -> RemoteReport:
    """Read every object of the outputs at or below `targets` from the remote, and compare its MD5 with its name.

    Outputs that DVC keeps out of its cache or of remotes are passed over.

    Raises SharingError when the remote or an output does not exist, or when the remote cannot be reached.
    """
    with sharing_errors(remote or "the default remote"):
        from dvc.repo import Repo

        with Repo() as repo:
            odb = repo.cloud.get_remote_odb(remote, "remote-check")
            outputs = _outputs(repo, list(targets))
            compared = [output for output in outputs if not output.stage.is_import]
            objects = _read_all(_expected_objects(compared, repo, odb), odb)
            return RemoteReport(
                remote=str(odb.fs.unstrip_protocol(odb.path)),
                outputs=tuple(map(str, compared)),
                imported=tuple(str(output) for output in outputs if output.stage.is_import),
                objects=objects,
                to_delete=_to_delete(objects, odb),
            )


def print_remote_report(report: RemoteReport, console: Console) -> None:
    """Print what was compared and what to delete; raises RemoteDamagedError unless every object is whole."""
    bytes_read = sum(item.bytes for item in report.objects)
    say = console.print
    say(f"{report.remote}: {len(report.objects)} objects of {len(report.outputs)} outputs, {bytes_read:,} bytes read")
    for name in report.imported:
        say(f"not compared: {name}, imported; run remote-check in the repository it comes from")
    damaged = [item for item in report.objects if item.state != "whole"]
    if not damaged:
        say("every object is whole")
        return
    for item in damaged:
        say(f"{item.state}: {item.expected.file}", soft_wrap=True)
    for url in report.to_delete:
        say(f"delete: {url}", soft_wrap=True)
    raise RemoteDamagedError(report.remote, len(damaged), len(report.objects))


def _outputs(repo: "Repo", targets: list[Path]) -> list["Output"]:
    """Return the recorded outputs at or below any of `targets`."""
    folders = [(Path.cwd() / target).resolve() for target in targets]
    outputs = [
        output
        for output in repo.index.outs
        if output.hash_info
        and output.use_cache
        and output.can_push
        and any(Path(output.fs_path).resolve().is_relative_to(folder) for folder in folders)
    ]
    if not outputs:
        names = ", ".join(map(str, targets))
        raise SharingError(names, "no output there that dvc.lock or a .dvc file records; run `dvc repro` first")
    return outputs


def _expected_objects(outs: list["Output"], repo: "Repo", odb: "HashFileDB") -> list[ExpectedObject]:
    """Return the objects of `outs` without duplicates, with the listings of any output that name them."""
    other_outs = [out for out in repo.index.outs if out.hash_info and not out.stage.is_import and out not in outs]
    files: dict[str, str] = {}
    listings: defaultdict[str, set[str]] = defaultdict(set)
    for out in outs:
        files.setdefault(str(out.hash_info.value), str(out))
        for oid, name, listing in _files_of(out, repo, odb):
            files.setdefault(oid, f"{out}/{name}")
            listings[oid].add(listing)
    for oid, _, listing in chain.from_iterable(_files_of(out, repo, odb) for out in other_outs):
        if oid in files:
            listings[oid].add(listing)
    return [ExpectedObject(oid, file, tuple(listings[oid])) for oid, file in files.items()]


def _files_of(out: "Output", repo: "Repo", odb: "HashFileDB") -> Iterator[tuple[str, str, str]]:
    """Yield for each file of a folder its object id, its name, and the object id of the listing."""
    oid = str(out.hash_info.value)
    if oid.endswith(LISTING):
        for entry in read_listing(oid, repo.cache.local) or read_listing(oid, odb) or ():
            yield entry["md5"], entry["relpath"], oid


def read_listing(oid: str, odb: "HashFileDB") -> list[dict[str, Any]] | None:
    """Return the entries of a listing, or None where it is missing or its MD5 differs from its name."""
    try:
        content = bytes(odb.fs.cat_file(odb.oid_to_path(oid)))
    except FileNotFoundError:
        return None
    if hashlib.md5(content, usedforsecurity=False).hexdigest() + LISTING != oid:
        return None
    entries: list[dict[str, Any]] = json.loads(content)
    return entries


def _read_all(expected_objects: list[ExpectedObject], odb: "HashFileDB") -> tuple[CheckedObject, ...]:
    """Read all objects in parallel, and return them in the same order."""
    subject = "reading the remote, objects"
    with progress(subject, len(expected_objects)) as advance, ThreadPoolExecutor(JOBS) as pool:

        def check(expected: ExpectedObject) -> CheckedObject:
            checked = _checked(expected, odb)
            advance(1)
            return checked

        return tuple(pool.map(check, expected_objects))


def _checked(expected: ExpectedObject, odb: "HashFileDB") -> CheckedObject:
    """Read an object from the remote, and return its state."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    url = _url(odb, expected.oid)
    try:
        with odb.fs.open(odb.oid_to_path(expected.oid), "rb") as stream:
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
    except FileNotFoundError:
        return CheckedObject(expected, "missing", url, 0)
    is_whole = digest.hexdigest() == expected.oid.removesuffix(LISTING)
    return CheckedObject(expected, "whole" if is_whole else "altered", url, size)


def _to_delete(objects: tuple[CheckedObject, ...], odb: "HashFileDB") -> tuple[str, ...]:
    """Return the URLs of altered objects, and of every listing on the remote that names a missing or altered object."""
    damaged = [item for item in objects if item.state != "whole"]
    listings = {listing for item in damaged for listing in item.expected.listings}
    altered = {item.url for item in damaged if item.state == "altered"}
    return tuple(sorted(altered | {_url(odb, listing) for listing in listings if odb.exists(listing)}))


def _url(odb: "HashFileDB", oid: str) -> str:
    return str(odb.fs.unstrip_protocol(odb.oid_to_path(oid)))


@contextmanager
def sharing_errors(subject: str) -> Iterator[None]:
    """Turn errors of DVC and of the connection into SharingError."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:  # every kind of remote raises errors of its own
        raise SharingError(subject, str(error) or type(error).__name__) from error
