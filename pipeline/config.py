"""Read `params.yaml` into frozen sections; a wrong key is named with its full path and the nearest valid one."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import ParamsError

SECTIONS = (
    "seeds",
    "data",
    "autoencoder",
    "encode",
    "guard",
    "probe",
    "denoiser",
    "teacher",
    "pretrained_teacher",
    "synthesize",
    "quality",
    "train",
    "infer",
    "score",
    "bundle",
)
"""The top-level keys of `params.yaml`: the run's seeds, the images, and one section per stage."""


Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a list of params.yaml as it is; raises ValueError when something is in it twice."""
    if len(set(values)) < len(values):
        raise ValueError("one is there twice")
    return values


def _plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError("wanted a name of letters (a to z), digits, _ and -, that begins with a letter or digit")
    return name


PlainName = Annotated[str, AfterValidator(_plain)]
"""Names a folder below that of its kind, and nothing outside of it; dvc.yaml can put it into a parameter's path."""
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(distinct)]


class Section(BaseModel):
    """A part of `params.yaml`: frozen, complete, without defaults and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


SectionT = TypeVar("SectionT", bound=BaseModel)


def load_params(path: Path, model: type[SectionT]) -> SectionT:
    """Return the parts of the parameter file that `model` has fields for; its other sections are not looked at.

    A stage thereby fails on its own section only, and on misspelt section names.
    Raises ParamsError, which lists every problem found.
    """
    content = read_yaml(path)
    unknown = [name for name in content if name not in SECTIONS]
    if unknown:
        raise ParamsError(path, [_unknown_key(str(name), str(name), SECTIONS) for name in unknown])
    wanted = {name: content[name] for name in model.model_fields if name in content}
    return validate(path, model, wanted)


def validate(path: Path | str, model: type[SectionT], content: object) -> SectionT:
    """Return `content` as a `model`, or raise ParamsError naming `path` and every wrong value in it."""
    try:
        return model.model_validate(_with_tuples(content))
    except ValidationError as error:
        problems = [_describe(problem, content, model) for problem in error.errors()]
        raise ParamsError(path, problems) from error
    except OverflowError as error:  # of a check that computes with a whole number beyond the largest float
        raise ParamsError(path, [f"a number is too large ({error})"]) from error


class _Loader(yaml.SafeLoader):
    """YAML 1.2 numbers, as DVC reads them: 1e-4 is one, where YAML 1.1 wants 1.0e-4; and no aliases.

    Aliases may hold themselves, or grow a few lines into gigabytes; a parameter file says every value where it belongs.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next node; raises ComposerError where it is an alias."""
        if self.check_event(yaml.AliasEvent):
            alias = self.peek_event()  # type: ignore[no-untyped-call]  # as the stubs have it
            words = f"found the alias *{alias.anchor}, wanted the value itself"
            raise yaml.composer.ComposerError(None, None, words, alias.start_mark)
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


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
    try:
        parsed = yaml.load(content.decode(), _Loader)  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ParamsError(path, ["not readable as YAML: " + " ".join(str(error).split())]) from error
    if not isinstance(parsed, dict):
        raise ParamsError(path, [f"found {type(parsed).__name__}, wanted sections {', '.join(SECTIONS)}"])
    return parsed


def _describe(problem: ErrorDetails, content: object, model: type[BaseModel]) -> str:
    where = ".".join(_readable(problem["loc"], content, problem["type"]))
    if problem["type"] == "extra_forbidden":
        return _unknown_key(where, str(problem["loc"][-1]), _valid_names(model, problem["loc"][:-1]))
    if problem["type"] == "missing":
        return f"{where} is missing"
    reason = problem["msg"].removeprefix("Value error, ")
    given = list(problem["input"]) if isinstance(problem["input"], tuple) else problem["input"]
    found = "" if isinstance(given, dict) else f" is {given!r}"
    told = f"{reason[0].lower()}{reason[1:]}"
    return f"{where}{found}: {told}" if where else told  # of no section alone: it names the keys itself


def _unknown_key(where: str, name: str, valid: Sequence[str]) -> str:
    return f"{where} is not a parameter; {nearest_name(name, valid)}"


def nearest_name(name: str, valid: Sequence[str]) -> str:
    """Return a hint at the valid name closest to `name`, or at all of them when none is close."""
    nearest = get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"did you mean {nearest[0]!r}?" if nearest else f"valid here: {', '.join(valid)}"


def _readable(loc: tuple[int | str, ...], content: object, kind: str) -> list[str]:
    """Drop the tags that pydantic puts into a location for the member of a union it tried.

    A tag comes first after what it is of, and may be spelled like a key in there: kind `dataset` has a `dataset`.
    """
    steps, here, opened = [], content, None
    for index, step in enumerate(loc):
        if isinstance(here, dict) and here is not opened and here.get("kind") == step:
            opened = here
            continue
        items = range(len(here)) if isinstance(here, list) else here if isinstance(here, dict) else ()
        known = step in items
        if known or (index == len(loc) - 1 and kind in ("missing", "extra_forbidden")):
            steps.append(str(step))
        if known:
            here = here[step]  # type: ignore[index]  # checked above: a key of a dict, or a place of a list
    return steps


def _valid_names(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the field names of the (nested) model at `loc`, following the JSON schema pydantic derives."""
    schema = model.model_json_schema()
    here = [schema]
    for step in loc:
        here = [child for node in here for child in _children(node, step, schema)]
    return [name for node in here for choice in _choices(node, schema) for name in choice.get("properties", {})]


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
    found = []
    for choice in _choices(node, schema):
        inside = (choice.get("properties", {}).get(step), choice.get("additionalProperties"), choice.get("items"))
        found += [child for child in inside if isinstance(child, dict)]
    return found
