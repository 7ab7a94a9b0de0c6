"""Cache of scans below `.work/images/`, each with the state of what was scanned; a damaged file counts as none."""

import inspect
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.images.formats import HEIF, readable_formats
from pipeline.runtime.files import WORK, digest, file_digest, json_bytes, write_json

SCANS = WORK / "images"
ScanT = TypeVar("ScanT", bound=BaseModel)


def scan_state(subject: object, functions: Sequence[Callable[..., Any]]) -> str:
    """Return a digest of everything that determines a scan, except the contents of the files.

    subject: what is scanned, in types that JSON can hold. functions: those whose modules make the scan.
    """
    code = [file_digest(Path(inspect.getfile(function))) for function in functions]
    formats = readable_formats()
    decoders = [version("pillow"), *([version("pillow-heif")] if HEIF in formats else [])]
    return digest(json_bytes([subject, code, *decoders, formats]))


def read_scan(name: str, state: str, kind: type[ScanT]) -> ScanT | None:
    """Return the scan in a cache file; None if there is none, or it is damaged or of another state."""
    try:
        cached = json.loads((SCANS / name).read_bytes())
        if cached["state"] == state and cached["sha256"] == _seal(state, cached["scan"]):
            return kind.model_validate_json(json_bytes(cached["scan"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError):
        pass
    return None


def keep_scan(name: str, state: str, scan: BaseModel) -> None:
    """Write a scan to a cache file."""
    content = scan.model_dump(mode="json")
    write_json(SCANS / name, {"state": state, "scan": content, "sha256": _seal(state, content)})


def _seal(state: str, content: object) -> str:
    return digest(json_bytes([state, content]))
