"""Name what was computed by all that determines it, so that finished work is found again and nothing else is."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pipeline.runtime.code import library_versions
from pipeline.runtime.device import chosen_device
from pipeline.runtime.files import digest, file_digest, folder_digest, json_bytes
from pipeline.schema.text import plain_yaml


def key(stage: str, facts: Mapping[str, object], inputs: Mapping[str, Path]) -> str:
    """Return a short digest of facts, of what the inputs hold, and of the code that a stage of dvc.yaml depends on.

    inputs: stores or other folders, by what they are: where they lie does not count.
    """
    content = {
        "facts": dict(facts),
        "inputs": {name: _content(path) for name, path in inputs.items()},
        "code": stage_code(stage),
        "libraries": library_versions(),
        "device": chosen_device().type,
    }
    return digest(json_bytes(content))[:16]


@cache
def stage_code(stage: str) -> str:
    """Return one digest of the modules that a stage depends on."""
    entry = plain_yaml(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    deps = entry.get("do", entry)["deps"]  # of a stage per set or method they are a level deeper
    paths = [Path(name) for name in deps if name.startswith("pipeline")]
    return code(*(path.parent if "$" in path.name else path for path in paths))  # one file per method: all of them


def code(*paths: Path) -> str:
    """Return one digest of Python files and of those in folders."""
    files = {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])}
    return digest(json_bytes({file.as_posix(): file_digest(file) for file in sorted(files)}))


def _content(path: Path) -> str:
    manifest = path / "manifest.json"
    return file_digest(manifest) if manifest.is_file() else folder_digest(path)
