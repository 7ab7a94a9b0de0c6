"""The layout is a promise: small functions, short files, no cycles, and DVC dependencies that match the imports."""

import ast
from graphlib import TopologicalSorter
from typing import get_args

import numpy as np
import pytest
import yaml

from pipeline.synthesize.params import MethodName
from tests.make import ROOT

LIBRARY = sorted([*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("stages/*.py")])
EVERYTHING = sorted([*LIBRARY, *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")])
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
METHODS = get_args(MethodName)


def function_lengths(path):
    return {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_no_function_is_over_60_lines():
    lengths = {name: length for path in EVERYTHING for name, length in function_lengths(path).items()}
    assert {name: length for name, length in lengths.items() if length > 60} == {}


def test_nine_of_ten_library_functions_are_at_most_35_lines():
    lengths = [length for path in LIBRARY for length in function_lengths(path).values()]
    assert np.percentile(lengths, 90) <= 35


def test_no_file_is_over_300_lines():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in EVERYTHING}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_stage_scripts_are_under_25_lines_of_code():
    for path in ROOT.glob("stages/*.py"):
        assert len([line for line in path.read_text().splitlines() if line.strip()]) < 25, path


def test_every_file_says_first_what_it_is_for():
    assert [path for path in EVERYTHING if not ast.get_docstring(ast.parse(path.read_text()))] == []


def module_file(name):
    base = ROOT / name.replace(".", "/")
    return base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"


def imported_files(path):
    """Return the project files a file imports, anywhere in it; packages that are only a docstring do not count."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("pipeline", "stages"):
            found.add(module_file(node.module))
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith(("pipeline", "stages")) for alias in node.names), path
    return found


def closure(path):
    seen, waiting = set(), [path]
    while waiting:
        here = waiting.pop()
        if here not in seen:
            seen.add(here)
            waiting.extend(imported_files(here))
    return seen


def test_packages_hold_nothing_but_their_purpose():
    for path in ROOT.glob("pipeline/**/__init__.py"):
        assert len(ast.parse(path.read_text()).body) == 1, path


def test_imports_have_no_cycle():
    list(TopologicalSorter({path: imported_files(path) for path in LIBRARY}).static_order())


def test_stage_bodies_do_not_import_each_other():
    for stage in (path.stem for path in (ROOT / "stages").glob("[!_]*.py")):
        for path in ROOT.glob(f"pipeline/{stage}/*.py"):
            runs = {found for found in imported_files(path) if found.name == "run.py"}
            assert runs == set(), path


def declared_files(stage):
    body = DVC[stage].get("do", DVC[stage])
    deps = [dep.replace("${item.method}", method) for dep in body["deps"] for method in METHODS]
    files = set()
    for dep in {dep for dep in deps if dep.startswith(("pipeline", "stages"))}:
        path = ROOT / dep
        files |= set(path.rglob("*.py")) if path.is_dir() else {path}
    return {path for path in files if path.name != "__init__.py"}


@pytest.mark.parametrize("stage", DVC)
def test_dvc_dependencies_are_exactly_what_a_stage_imports(stage):
    imported = closure(ROOT / "stages" / f"{stage}.py")
    declared = declared_files(stage)
    missing = sorted(str(path.relative_to(ROOT)) for path in imported - declared)
    needless = sorted(str(path.relative_to(ROOT)) for path in declared - imported)
    assert (missing, needless) == ([], [])


def test_stage_name_is_script_name_and_params_section():
    sections = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert {path.stem for path in (ROOT / "stages").glob("[!_]*.py")} == set(DVC)
    assert set(DVC) <= set(sections)


def test_readme_lists_every_module_with_its_first_line():
    readme = (ROOT / "README.md").read_text()
    modules = [path for path in LIBRARY if path.name != "__init__.py"]
    lines = {path: ast.get_docstring(ast.parse(path.read_text())).splitlines()[0] for path in modules}
    wanted = [f"| `{path.relative_to(ROOT)}` | {line} |" for path, line in lines.items()]
    assert [line for line in wanted if line not in readme] == []
