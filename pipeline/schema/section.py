"""The base of every section of params.yaml, and the numbers and names that may stand in one."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""What all generators of random numbers accept: PyTorch, NumPy, and those of the denoiser's epochs."""
Name = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A part of `params.yaml`: frozen, complete, without defaults and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class PartOfSection(Section):
    """A section of which only some keys are read; a stage that uses it does not depend on the others."""

    model_config = ConfigDict(extra="ignore")


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a list of params.yaml as it is; raises ValueError when a value repeats."""
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"it has {value!r} twice; every value must differ")
    return values


def _plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ValueError("wanted a name of letters (a to z), digits, _ and -, that begins with a letter or digit")
    return name


PlainName = Annotated[str, AfterValidator(_plain)]
"""Names a folder below that of its kind, and nothing outside of it; dvc.yaml can put it into a parameter's path."""
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(distinct)]
