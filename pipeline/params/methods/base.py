"""What the parameters of every synthesis method have in common."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from pipeline.schema.section import Count, Fraction, Section

NOBODY = -1
"""Parent or class of a row that has none."""


class MethodParams(Section):
    """The parameters of a synthesis method, which are the section of its name in `synthesize`."""

    has_parents: ClassVar[bool] = True
    """Whether its rows start from ID training latents."""
    needs_denoiser: ClassVar[bool] = False
    """Whether it samples from the pipeline's own diffusion model, which stage `denoiser` trains for it."""

    rows: Count
    """Outliers to make."""


class MixedClasses(MethodParams):
    """Of a method whose rows lie between classes: how many classes meet, and with what share of each."""

    classes: Annotated[int, Field(ge=2)]
    """Different classes that meet in a row."""
    lam_min: Fraction
    lam_max: Fraction
    """Range of the first of two classes' share; away from 0 and 1, or the row shows one class only. Of three classes or
    more none has a share above lam_max, and lam_min is not looked at."""

    @model_validator(mode="after")
    def _range_is_possible(self) -> Self:
        if self.lam_min > self.lam_max:
            raise ValueError(f"lam_min {self.lam_min} is above lam_max {self.lam_max}")
        if self.classes > 2 and self.lam_max * self.classes < 1:
            raise ValueError(f"lam_max {self.lam_max} is below 1 / classes, so {self.classes} shares make no whole")
        return self
