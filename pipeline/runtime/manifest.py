"""The manifest of a stage's output: size and digest of every file, and a digest of the list itself.

A folder inside that has a manifest of its own, such as a store, is listed by that manifest alone.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.runtime.errors import DamagedOutputError, reason
from pipeline.runtime.files import MANIFEST, digest, file_digest, json_bytes, open_regular, write_json

FORMAT = "latent-outliers-files/1"
LARGEST_MANIFEST = 2**28
"""Bytes of a manifest that is read at all; one of a million files is smaller."""
Size = Annotated[int, Field(ge=0, lt=2**63)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FileSeal(BaseModel):
    """The size and digest of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bytes: Size
    sha256: Sha256


class OutputManifest(BaseModel):
    """The content of an output's manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["latent-outliers-files/1"]
    files: dict[str, FileSeal]
    sha256: Sha256


def seal(folder: Path) -> None:
    """Write the manifest of a finished folder as its last file, unless the folder is a store, which has its own."""
    path = folder / MANIFEST
    if path.exists() and (read_manifest(path) or {}).get("format") != FORMAT:
        return
    path.unlink(missing_ok=True)
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": file_digest(folder / name)} for name in _names(folder)
    }
    content = {"format": FORMAT, "files": files}
    write_json(path, content | {"sha256": seal_digest(content)})


def checked_digest(folder: Path) -> str:
    """Return the digest of a folder's manifest, after every file of an output was compared with it.

    The files of a store are not compared, since its reader does that. Raises DamagedOutputError, which names the file.
    """
    check_output(folder)
    return file_digest(folder / MANIFEST)


def check_output(folder: Path) -> int:
    """Compare every file of an output with its manifest, and return their number; a store is passed over.

    Raises DamagedOutputError, which names the first file that is missing, left over or altered.
    """
    path = folder / MANIFEST
    advice = f"The output is damaged. Delete {folder}, then restore it with `dvc checkout` or `dvc repro`."
    if (content := read_manifest(path)) is None:
        wanted = "the manifest as it was written"
        raise DamagedOutputError(path, "bytes that do not match the digest in it", wanted, advice)
    if str(content.get("format")).startswith("latent-outliers-store/"):
        return 0
    try:
        wanted_files = OutputManifest.model_validate(content).files
    except ValidationError as error:
        raise DamagedOutputError(path, reason(error), f"the fields of {FORMAT}", advice) from error
    for name in sorted(wanted_files.keys() ^ set(_names(folder))):
        found = "no such file" if name in wanted_files else "a file the manifest does not know"
        wanted = f"{wanted_files[name].bytes} bytes" if name in wanted_files else "none"
        raise DamagedOutputError(folder / name, found, wanted, advice)
    for name, wanted_file in wanted_files.items():
        if (problem := _difference(folder, name, wanted_file)) is not None:
            raise DamagedOutputError(folder / name, *problem, advice)
    return len(wanted_files)


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the fields of a manifest, of an output or a store; None unless its bytes match the digest in it."""
    try:
        with open_regular(path, inside=path.parent) as stream:
            content = stream.read(LARGEST_MANIFEST + 1)
    except OSError:
        return None
    return sealed_fields(content)


def sealed_fields(content: bytes) -> dict[str, Any] | None:
    """Return the fields of a manifest from its bytes; None unless they match the digest in it."""
    if len(content) > LARGEST_MANIFEST:
        return None
    try:
        fields: dict[str, Any] = json.loads(content)
        sealed = fields["sha256"] == seal_digest(fields) and content == json_bytes(fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return fields if sealed else None


def seal_digest(fields: Mapping[str, Any]) -> str:
    """Return the digest in a manifest of any format: of its other fields, as JSON."""
    return digest(json_bytes({name: value for name, value in fields.items() if name != "sha256"}))


def all_names(folder: Path) -> Iterator[str]:
    """Yield the path inside `folder` of everything below it that is no folder, in no order; links are not followed."""
    for parent, folders, files in os.walk(folder):
        parent_path = Path(parent)
        for name in [*files, *(name for name in folders if (parent_path / name).is_symlink())]:
            yield (parent_path / name).relative_to(folder).as_posix()


def _names(folder: Path) -> list[str]:
    """Return what the manifest of `folder` lists: all names but its own, and of folders with a manifest only that."""
    paths = {Path(name) for name in all_names(folder)} - {Path(MANIFEST)}
    sealed = {path.parent for path in paths if path.name == MANIFEST}
    return sorted(path.as_posix() for path in paths if path.name == MANIFEST or sealed.isdisjoint(path.parents))


def _difference(folder: Path, name: str, wanted: FileSeal) -> tuple[str, str] | None:
    """Return what was found in place of a file and what was wanted; None where it is as it was written."""
    try:
        with open_regular(folder / name, inside=folder, size=wanted.bytes) as stream:
            digest_found = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # a raw file has readinto
    except OSError as error:
        found, _, expected = (error.strerror or str(error)).partition(", wanted ")
        return found, expected or f"{wanted.bytes} bytes"
    return None if digest_found == wanted.sha256 else (f"SHA-256 {digest_found[:12]}", wanted.sha256[:12])
