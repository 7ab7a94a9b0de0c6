"""The layout is a promise: small functions, short files, few entries per folder, no cycles, verbs apart from nouns."""

import ast
import importlib
import inspect
import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from pipeline.commands.dependencies import PIPELINE, code_of_stage, with_dependencies
from pipeline.images.sources.base import ImageSource
from pipeline.params.data import Source
from pipeline.params.infer import SCORES, score_title
from pipeline.params.methods.section import method_params_class
from pipeline.params.synthesize import METHODS, SynthesizeParams
from pipeline.posthoc.fitted import score_class
from pipeline.runtime.code import CODE, WITHOUT_EFFECT
from pipeline.schema.text import plain_yaml
from tests.helpers.make import ROOT

LIBRARY = sorted([*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("stages/*.py")])
EVERYTHING = sorted([*LIBRARY, *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")])
FOLDERS = ("pipeline", "stages", "tests", "benchmarks", "docs", "presets")
DVC = plain_yaml((ROOT / PIPELINE).read_text())["stages"]
STAGES = sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py"))


def below(path):
    return path.relative_to(ROOT).as_posix()


def function_lengths(path):
    return {
        f"{below(path)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
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
    lengths = {below(path): len(path.read_text().splitlines()) for path in EVERYTHING}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def folders():
    tops = [ROOT / name for name in FOLDERS]
    return [*tops, *(path for top in tops for path in top.rglob("*") if path.is_dir())]


def test_no_folder_holds_more_than_20_entries():
    counts = {
        below(path): len([entry for entry in path.iterdir() if entry.name != "__pycache__"]) for path in folders()
    }
    assert {name: count for name, count in counts.items() if count > 20} == {}


def test_every_file_says_first_what_it_is_for():
    assert [path for path in EVERYTHING if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_packages_hold_nothing_but_their_purpose():
    """The first package also has the name that users of a detector import."""
    for path in set(ROOT.glob("pipeline/**/__init__.py")) - {ROOT / "pipeline/__init__.py"}:
        assert len(ast.parse(path.read_text()).body) == 1, path


DIALECT = {"ahead", "here", "held", "its", "left", "mine", "needed", "one", "own", "place", "said", "told", "ways"}
"""Names that say nothing of the thing they name."""


def named(node):
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.attr
    return getattr(node, "arg", None) if isinstance(node, ast.arg) else getattr(node, "name", None)


def test_names_say_what_a_thing_is():
    nodes = [(path, node) for path in LIBRARY for node in ast.walk(ast.parse(path.read_text()))]
    assert [f"{below(path)}:{node.lineno} {named(node)}" for path, node in nodes if named(node) in DIALECT] == []


def test_sentences_of_docstrings_are_short():
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    nodes = [node for path in LIBRARY for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    sentences = [words.split() for node in nodes for words in re.split(r"[.:;]\s", ast.get_docstring(node) or "")]
    assert np.median([len(words) for words in sentences if words]) <= 12


def module_file(name):
    base = ROOT / name.replace(".", "/")
    return base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"


def imported_files(path):
    """Return the project files a file imports, anywhere in it; packages that are only a docstring do not count."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in CODE:
            found.add(module_file(node.module))
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith(CODE) for alias in node.names), path
    return found


def test_imports_of_files_have_no_cycle():
    list(TopologicalSorter({path: imported_files(path) for path in LIBRARY}).static_order())


@pytest.mark.parametrize("noun", [True, False])
def test_imports_of_folders_have_no_cycle(noun):
    """Of the nouns, a folder directly below `pipeline` with all in it; and of every single folder."""

    def folder(path):
        parts = path.relative_to(ROOT).parent.parts
        return "/".join(parts[:2] if noun else parts)

    graph = {}
    for path in LIBRARY:
        graph.setdefault(folder(path), set()).update(folder(other) for other in imported_files(path))
    list(TopologicalSorter({name: others - {name} for name, others in graph.items()}).static_order())


def test_no_noun_imports_a_verb_and_no_stage_another():
    for path in LIBRARY:
        stages = {below(other) for other in imported_files(path) if below(other).startswith("stages/")}
        assert stages == set(), path


def test_a_stage_is_one_function_of_its_name():
    for name in STAGES:
        functions = vars(importlib.import_module(f"stages.{name}"))
        assert inspect.getdoc(functions[name]), name


def test_stage_name_is_script_name_and_params_section():
    sections = plain_yaml((ROOT / "params.yaml").read_text())
    assert set(STAGES) == set(DVC)
    assert set(DVC) <= set(sections)


def test_no_command_has_a_value_of_a_parameter_and_no_output_lies_elsewhere():
    """What a foreign params.yaml could do without this is in test_hostile_params.py."""
    for name, entry in DVC.items():
        body = entry.get("do", entry)
        assert "${" not in body["cmd"], name
        if body is not entry or "matrix" in entry:
            (variable,) = {found for path in map(str, body["outs"]) for found in re.findall(r"\$\{.*?\}", path)}
            assert body["wdir"] == f"{variable}/..", name
            assert body["vars"] == ["params.yaml", "stages/__init__.py"], name


def test_dependencies_in_dvc_yaml_are_written_from_the_imports():
    text = (ROOT / PIPELINE).read_text()
    assert with_dependencies(text, ROOT) == text, "run `make fix`"


@pytest.mark.parametrize("stage", DVC)
def test_every_file_that_a_stage_imports_is_a_dependency_or_cannot_change_a_byte(stage):
    """The same as above by another way: what Python itself has loaded after all imports of a stage's files."""
    declared = set(code_of_stage(ROOT, stage))
    seen, waiting = set(), [ROOT / "stages" / f"{stage}.py"]
    while waiting:
        here = waiting.pop()
        if here not in seen:
            seen.add(here)
            waiting += [path for path in imported_files(here) if path.name != "__init__.py"]
    without = {module_file(name) for name in WITHOUT_EFFECT}
    only_through = {path for start in without for path in imported_files(start)}
    missing = {below(path) for path in seen - without - only_through} - declared
    folders = {path for path in declared if not path.endswith(".py")}
    assert {path for path in missing if Path(path).parent.as_posix() not in folders} == set()


def test_what_cannot_change_a_byte_is_a_short_list_of_modules_that_are_there():
    assert len(WITHOUT_EFFECT) <= 8
    assert all(module_file(name).is_file() for name in WITHOUT_EFFECT)


def test_a_post_hoc_score_is_one_class_that_says_its_name_and_source():
    files = sorted(path.stem for path in (ROOT / "pipeline/posthoc/scores").glob("[a-z]*.py"))
    assert files == [*SCORES]
    for name in SCORES:
        kind = score_class(name)
        assert (score_title(name), bool(kind.source)) == (kind.title, True)


def test_a_method_is_one_module_and_its_section():
    assert sorted(path.stem for path in (ROOT / "pipeline/outliers/methods").glob("[a-z]*.py")) == sorted(METHODS)
    for name in METHODS:
        assert method_params_class(Path("params.yaml"), name) is SynthesizeParams.model_fields[name].annotation


def test_every_source_of_images_answers_every_question():
    union, _ = get_args(Source)
    for kind in get_args(union):
        assert issubclass(kind, ImageSource)
        assert kind.__abstractmethods__ == frozenset(), kind


def test_a_source_that_leaves_an_answer_out_cannot_be_made():
    class Silent(ImageSource):
        def locations(self):
            return {}

    with pytest.raises(TypeError, match="abstract"):
        Silent.model_validate({})
