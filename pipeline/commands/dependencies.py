"""Write the code dependencies of each stage into dvc.yaml: every module that it imports, directly or indirectly."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.runtime.code import CODE, WITHOUT_EFFECT
from pipeline.runtime.files import write_bytes

PIPELINE = Path("dvc.yaml")
METHOD = "${item.method}"
"""The variable in dvc.yaml for the name of a synthesis method."""
BY_NAME = {
    "pipeline/params/methods/section.py": f"pipeline/params/methods/{METHOD}.py",
    "pipeline/outliers/make.py": f"pipeline/outliers/methods/{METHOD}.py",
    "pipeline/posthoc/fitted.py": "pipeline/posthoc/scores",
}
"""Modules that import others by a name that is chosen at run time, with the pattern or folder of the imported modules:
one method, or all post-hoc scores."""


def write_dependencies(pipeline_file: Path = PIPELINE) -> bool:
    """Update the code dependencies in dvc.yaml, and return whether anything changed."""
    old = pipeline_file.read_text(encoding="utf-8")
    new = with_dependencies(old, pipeline_file.parent)
    if new != old:
        write_bytes(pipeline_file, new.encode())
    return new != old


def with_dependencies(text: str, root: Path) -> str:
    """Return the text of dvc.yaml with the code dependencies of each stage; all other lines stay as they are."""
    lines, stage, code_written = [], "", False
    for line in text.splitlines():
        if started := re.fullmatch(r"  (\w+):", line):
            stage = started[1]
        if re.fullmatch(r"\s+deps:", line):
            indent = " " * (len(line) - len(line.lstrip()) + 2)
            lines += [line, *(f"{indent}- {path}" for path in code_of_stage(root, stage))]
            code_written = True
        elif not (code_written and re.match(rf"\s+- ({'|'.join(CODE)})/", line)):
            lines.append(line)
            code_written = code_written and line.lstrip().startswith("-")
    return "\n".join(lines) + "\n"


def code_of_stage(root: Path, stage: str) -> list[str]:
    """Return the files and folders of code that a stage depends on, the script of the stage first.

    Modules that cannot change any output (`WITHOUT_EFFECT`) are left out. So are packages (`__init__.py`), which
    contain only a docstring.
    """
    script = f"stages/{stage}.py"
    code = {script} | _reached(root, script)
    return [script, *sorted(code - {script}, key=lambda path: (path.count("/") < 2, path))]


def imports_of(root: Path, path: str) -> set[str]:
    """Return the files of this project that a file imports at any level, as paths relative to `root`."""
    tree = ast.parse((root / path).read_text(encoding="utf-8"))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    files = {f"{module.replace('.', '/')}.py" for module in modules if module.split(".")[0] in CODE}
    return {file for file in files if (root / file).is_file()}


def _reached(root: Path, script: str) -> set[str]:
    """Return what a script imports, directly or indirectly; for imports by name, the patterns of `BY_NAME`."""
    excluded = {f"{module.replace('.', '/')}.py" for module in WITHOUT_EFFECT}
    reached: set[str] = set()
    patterns: set[str] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path in reached or path in excluded:
            continue
        reached.add(path)
        waiting += imports_of(root, path)
        if path in BY_NAME:
            patterns.add(BY_NAME[path])
            waiting += _named_modules(root, BY_NAME[path])
    return {path for path in reached if not _is_named(root, path, patterns)} | patterns


def _named_modules(root: Path, pattern: str) -> Iterable[str]:
    """Return the files that a pattern or folder of `BY_NAME` stands for."""
    folder = root / (pattern if METHOD not in pattern else Path(pattern).parent)
    files = sorted(folder.glob("[a-z]*.py"))
    return [file.relative_to(root).as_posix() for file in files if METHOD not in pattern or _is_method(root, file)]


def _is_method(root: Path, file: Path) -> bool:
    """Return whether a parameter file belongs to a method: a module of the same name is in `outliers/methods`."""
    return (root / "pipeline/outliers/methods" / file.name).is_file()


def _is_named(root: Path, path: str, patterns: set[str]) -> bool:
    """Return whether a pattern or folder already covers a file."""
    return any(path in _named_modules(root, pattern) for pattern in patterns)
