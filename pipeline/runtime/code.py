"""Identify the code and libraries that made an output: digests of modules, versions of packages."""

import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.runtime.files import file_digest

CODE = ("pipeline", "stages")
"""The packages of this project."""
LIBRARIES = ("diffusers", "numpy", "onnxruntime", "pillow", "scikit-learn", "torch", "transformers")
"""Libraries whose version may change a byte of an output. Work that another version began is not continued."""
WITHOUT_EFFECT = (
    "pipeline.runtime.cluster",
    "pipeline.runtime.command",
    "pipeline.runtime.errors",
    "pipeline.runtime.launch",
    "pipeline.runtime.progress",
    "pipeline.runtime.run_log",
    "pipeline.runtime.shortage",
    "pipeline.runtime.text.terminal",
)
"""Modules that cannot change a byte of any output: command line, launch of work, progress, log and errors. A
change in them reruns no stage, and the finished shards of a killed run stay in use."""


def loaded_code() -> dict[str, str]:
    """Return the digest of every module of this project that this process has imported, by module name."""
    modules = {_import_name(name): module for name, module in sys.modules.items()}
    return {
        name: file_digest(Path(module.__file__))
        for name, module in sorted(modules.items())
        if name.split(".")[0] in CODE and module.__file__ is not None
    }


def effective_code() -> dict[str, str]:
    """Return the digests of `loaded_code` without the modules in WITHOUT_EFFECT."""
    return {name: digest for name, digest in loaded_code().items() if name not in WITHOUT_EFFECT}


def has_other_code(project: Path) -> bool:
    """Return whether a folder is a project with code of its own that differs from the code that runs."""
    running = Path(__file__).parents[2]
    if not (project / "dvc.yaml").is_file() or not (project / "pipeline/__main__.py").is_file():
        return False
    return not project.samefile(running) and _code_in(project) != _code_in(running)


def _code_in(root: Path) -> dict[str, str]:
    """Return the digest of every file of code below a root, by path."""
    files = [path for folder in CODE for path in (root / folder).rglob("*.py") if path.is_file()]
    return {path.relative_to(root).as_posix(): file_digest(path) for path in files}


def library_versions() -> dict[str, str]:
    """Return the versions of those LIBRARIES that are installed."""
    versions = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def _import_name(name: str) -> str:
    """Return the name by which a module is imported. A module run by `python -m` is called __main__ while it runs."""
    spec = getattr(sys.modules[name], "__spec__", None)
    return spec.name if name == "__main__" and spec is not None else name
