"""The `synthesize` section of params.yaml: which methods make outliers, and how many rows each."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config import Count, Fraction, Positive, Section, Seed

MethodName = Literal["perturb", "mixup", "shuffle"]


class PerturbParams(Section):
    """Noise around the outermost latents of a class."""

    rows: Count
    neighbours: Count
    """k of the k-NN distance that says how far out a latent is."""
    boundary_share: Annotated[float, Field(gt=0, le=1)]
    """Share of a class, the outermost by k-NN distance, that parents are drawn from."""
    sigma: Positive
    """Standard deviation of the noise, in units of the class's own per latent value."""
    candidates: Count
    """Noisy copies per row, of which the one farthest from its class is kept."""


class MixupParams(Section):
    """Two latents of different classes, mixed."""

    rows: Count
    lam_min: Fraction
    lam_max: Fraction
    """Range of the first parent's share; away from 0 and 1, or the row shows one class only."""
    masked_share: Annotated[float, Field(ge=0, le=1)]
    """Share of rows in which a block of the second parent replaces one of the first; the rest are linear mixes."""

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        if self.lam_min > self.lam_max:
            raise ValueError(f"lam_min {self.lam_min} is above lam_max {self.lam_max}")
        return self


class ShuffleParams(Section):
    """One latent with its places permuted."""

    rows: Count
    patch: Count
    """Side of the square that moves as a whole, in latent places."""


class SynthesizeParams(Section):
    """The methods of a run, and the parameters of each method there is."""

    methods: tuple[MethodName, ...] = Field(min_length=1)
    seed: Seed
    perturb: PerturbParams
    mixup: MixupParams
    shuffle: ShuffleParams

    @model_validator(mode="after")
    def _methods_are_distinct(self) -> Self:
        if len(set(self.methods)) < len(self.methods):
            raise ValueError(f"methods names one twice: {', '.join(self.methods)}")
        return self


class Params(Section):
    """What this stage reads of params.yaml."""

    synthesize: SynthesizeParams
