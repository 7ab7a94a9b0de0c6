"""Read `params.yaml` into frozen sections; a wrong key is named with its full path and the nearest valid one."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import Node

from pipeline.runtime.errors import ParamsError, reason
from pipeline.schema.section import Section, Seeds
from pipeline.schema.spelling import nearest_name
from pipeline.schema.text import plain_reader

SectionT = TypeVar("SectionT", bound=BaseModel)


class ParamsFile:
    """A parameter file, of which a stage reads only its own sections and so fails on no other.

    Raises ParamsError when it is not there or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._content = path, read_yaml(path)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the run, one network each."""
        return self._validated(_SeedsOnly, "seeds").seeds

    def section(self, name: str, model: type[SectionT]) -> SectionT:
        """Return the section called `name`; raises ParamsError, which lists every problem in it."""
        whole = create_model("_File", __base__=Section, **{name: (model, ...)})  # type: ignore[call-overload]  # by name
        section: SectionT = getattr(self._validated(whole, name), name)
        return section

    def whole(self, model: type[SectionT]) -> SectionT:
        """Return the whole file, every section of which has to be a field of `model`; raises ParamsError."""
        return validate(self.path, model, self._content)

    def _validated(self, model: type[SectionT], name: str) -> SectionT:
        if name not in self._content:
            raise ParamsError(self.path, [_missing_section(name, [*self._content])])
        return validate(self.path, model, {name: self._content[name]})


class _SeedsOnly(Section):
    seeds: Seeds


def validate(path: Path | str, model: type[SectionT], content: object) -> SectionT:
    """Return `content` as a `model`, or raise ParamsError naming `path` and every wrong value in it."""
    try:
        return model.model_validate(_with_tuples(content))
    except ValidationError as error:
        problems = [_describe(problem, content, model) for problem in error.errors()]
        raise ParamsError(path, problems) from error
    except OverflowError as error:  # of a check that computes with a whole number beyond the largest float
        raise ParamsError(path, [f"a number is too large ({error})"]) from error


class _ComposerWithoutAliases(Composer):
    """Refuses aliases, which may hold themselves, or grow a few lines into gigabytes.

    A parameter file says every value where it belongs.
    """

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        """Return the next node; raises ComposerError where it is an alias."""
        if self.parser.check_event(AliasEvent):
            alias = self.parser.peek_event()
            words = f"found the alias *{alias.anchor}, wanted the value itself"
            raise ComposerError(problem=words, problem_mark=alias.start_mark)
        return cast("Node | None", super().compose_node(parent, index))


def _with_tuples(content: object) -> Any:
    """Return `content` with tuples for lists, which strict and frozen models hold."""
    if isinstance(content, dict):
        return {name: _with_tuples(value) for name, value in content.items()}
    return tuple(map(_with_tuples, content)) if isinstance(content, list) else content


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the sections of a parameter file as they stand there, unchecked; raises ParamsError if it holds none."""
    try:
        return parse_yaml(path, path.read_bytes())
    except FileNotFoundError as error:
        raise ParamsError(path, ["not found; run from the project's root or pass --params"]) from error


def parse_yaml(path: Path | str, content: bytes) -> dict[str, Any]:
    """Return the sections in the bytes of a parameter file, unchecked; `path` says in errors where they are from."""
    reader = plain_reader()
    reader.Composer = _ComposerWithoutAliases
    try:
        parsed = reader.load(content.decode())
    except (YAMLError, RecursionError, ValueError, LookupError) as error:  # the last two: of `!!int ''` and the like
        raise ParamsError(path, [f"not readable as YAML: {_place(error)}"]) from error
    if not isinstance(parsed, dict):
        raise ParamsError(path, [f"found {type(parsed).__name__}, wanted sections such as seeds, data and train"])
    return parsed


def _place(error: Exception) -> str:
    """Return what is wrong with a YAML text, and in which line."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem}, in line {error.problem_mark.line + 1}"
    known = isinstance(error, YAMLError | UnicodeDecodeError | RecursionError)
    return reason(error) if known else f"a value is not of its kind ({reason(error)})"


def _describe(problem: ErrorDetails, content: object, model: type[BaseModel]) -> str:
    where = ".".join(_readable(problem["loc"], content, problem["type"]))
    if problem["type"] == "extra_forbidden":
        return _unknown_key(where, str(problem["loc"][-1]), _valid_names(model, problem["loc"][:-1]))
    if problem["type"] == "missing":
        return f"{where} is missing"
    reason = problem["msg"].removeprefix("Value error, ")
    given = list(problem["input"]) if isinstance(problem["input"], tuple) else problem["input"]
    value = "" if isinstance(given, dict) else f" is {given!r}"
    message = f"{reason[0].lower()}{reason[1:]}"
    return f"{where}{value}: {message}" if where else message  # a check across sections names the keys itself


def _missing_section(name: str, present: Sequence[object]) -> str:
    """Return that a section is missing, with the section of the file that may be a misspelling of it."""
    close = get_close_matches(name, [str(key) for key in present if len(str(key)) > 2], n=1, cutoff=0.75)
    return f"{name} is missing" + (f"; is {close[0]!r} meant?" if close else "")


def _unknown_key(where: str, name: str, valid: Sequence[str]) -> str:
    return f"{where} is not a parameter; {nearest_name(name, valid)}"


def _readable(loc: tuple[int | str, ...], content: object, kind: str) -> list[str]:
    """Return a location without the tags that pydantic adds for the member of a union.

    A tag follows the key of the union and may be spelled like a key inside it: kind `dataset` has a key `dataset`.
    Where that key holds a section, as the one that `encoder.kind` names, the step is the key.
    """
    steps, node, opened = [], content, None
    for index, step in enumerate(loc):
        is_tag = isinstance(node, dict) and node.get("kind") == step and not isinstance(node.get(step), dict)
        if is_tag and node is not opened:
            opened = node
            continue
        keys = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
        exists = step in keys
        if exists or (index == len(loc) - 1 and kind in ("missing", "extra_forbidden")):
            steps.append(str(step))
        if exists:
            node = node[step]  # type: ignore[index]  # checked above: a key of a dict, or an index of a list
    return steps


def _valid_names(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the field names of the (nested) model at `loc`, following the JSON schema pydantic derives."""
    schema = model.model_json_schema()
    nodes = [schema]
    for step in loc:
        nodes = [child for node in nodes for child in _children(node, step, schema)]
    return [name for node in nodes for choice in _choices(node, schema) for name in choice.get("properties", {})]


def _choices(node: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas a node may stand for, with references followed and unions opened."""
    if "$ref" in node:
        return _choices(schema["$defs"][node["$ref"].rsplit("/", 1)[-1]], schema)
    members = node.get("anyOf") or node.get("oneOf")
    return [choice for member in members for choice in _choices(member, schema)] if members else [node]


def _children(node: dict[str, Any], step: int | str, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas one step further in: a field, a mapping's value, a list's item, or a tagged union's member."""
    tagged = node.get("discriminator", {}).get("mapping", {})
    if step in tagged:
        return [{"$ref": tagged[step]}]
    children = []
    for choice in _choices(node, schema):
        inside = (choice.get("properties", {}).get(step), choice.get("additionalProperties"), choice.get("items"))
        children += [child for child in inside if isinstance(child, dict)]
    return children
