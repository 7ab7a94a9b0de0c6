"""The outputs of this project, and what DVC recorded of their files."""

from pathlib import Path
from typing import NamedTuple

from pipeline.sharing.remote import LISTING, read_listing, sharing_errors


class Recorded(NamedTuple):
    """An output of a stage or of a .dvc file."""

    path: Path
    md5s: dict[str, str] | None
    """MD5 of each file by its path inside the output, '.' for the output itself. None where DVC did not record them, or
    where its record is not in the cache."""


def recorded_outputs() -> list[Recorded]:
    """Return all outputs that dvc.yaml and .dvc files name, by path; raises SharingError outside of a project."""
    with sharing_errors("this project"):
        from dvc.repo import Repo

        with Repo() as repo:
            found = []
            for output in repo.index.outs:
                oid = None if output.hash_info is None or output.hash_name != "md5" else output.hash_info.value
                if oid is None:
                    md5s = None
                elif oid.endswith(LISTING):
                    entries = read_listing(oid, repo.cache.local)
                    md5s = None if entries is None else {entry["relpath"]: entry["md5"] for entry in entries}
                else:
                    md5s = {".": oid}
                found.append(Recorded(Path(str(output)), md5s))
            return sorted(found, key=lambda output: output.path)
