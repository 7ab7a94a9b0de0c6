"""Read the parameters of one synthesis method from params.yaml, and not those of the others."""

from importlib import import_module
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import create_model

from pipeline.params.methods.base import MethodParams
from pipeline.params.methods.enabled import OutlierStores
from pipeline.runtime.errors import ParamsError
from pipeline.schema.reader import ParamsFile
from pipeline.schema.section import PartOfSection, Seed

ParentsKind = Literal["plain", "views"]
"""Whether a parent is always the plain latent of its image, or may be a view of it."""


class MethodSection(NamedTuple):
    """The seed and the kind of parents of a run's outliers, and the parameters of one method."""

    seed: int
    parents: ParentsKind
    params: MethodParams

    @property
    def takes_views(self) -> bool:
        """Whether parents may be views; never where rows have no parents."""
        return self.parents == "views" and self.params.has_parents


class _Enabled(OutlierStores):
    seed: Seed
    parents: ParentsKind


def load_method_section(path: Path, name: str) -> MethodSection:
    """Return the parameters of the method called `name`.

    Raises ParamsError when it is not among `synthesize.methods`, or when its own parameters are wrong.
    """
    file = ParamsFile(path)
    enabled = file.section("synthesize", _Enabled)
    if name not in enabled.methods:
        raise ParamsError(path, [f"synthesize.methods has no {name!r}; it has {', '.join(enabled.methods)}"])
    kind = method_params_class(path, name)
    model = create_model("_Synthesize", __base__=PartOfSection, **{name: (kind, ...)})  # type: ignore[call-overload]
    params: MethodParams = getattr(file.section("synthesize", model), name)
    return MethodSection(enabled.seed, enabled.parents, params)


def method_params_class(path: Path, name: str) -> type[MethodParams]:
    """Return the class of parameters that the method's own module defines; raises ParamsError when there is none."""
    try:
        module = import_module(f"pipeline.params.methods.{name}")
    except ModuleNotFoundError as error:
        raise ParamsError(path, [f"synthesize.methods has {name!r}, which is not a method"]) from error
    (params_class,) = (
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, MethodParams) and kind.__module__ == module.__name__
    )
    return params_class
