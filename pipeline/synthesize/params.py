"""The `synthesize` section of params.yaml: which methods make outliers, and how many rows each."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from pipeline.config import Count, Fraction, Positive, Section, Seed

MethodName = Literal["perturb", "mixup", "shuffle"]
StoreName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


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
    imported: tuple[StoreName, ...]
    """Folders of `data/outliers` that `dvc import` brought from another repository."""
    seed: Seed
    perturb: PerturbParams
    mixup: MixupParams
    shuffle: ShuffleParams

    @property
    def stores(self) -> tuple[str, ...]:
        """Every store in `data/outliers` that the detector trains on."""
        return (*self.methods, *self.imported)

    @model_validator(mode="after")
    def _stores_are_distinct(self) -> Self:
        if len(set(self.stores)) < len(self.stores):
            raise ValueError(f"methods and imported name a store twice: {', '.join(self.stores)}")
        if taken := set(self.imported) & set(get_args(MethodName)):
            raise ValueError(f"imported may not have the name of a method: {', '.join(sorted(taken))}")
        return self


class Params(Section):
    """What this stage reads of params.yaml."""

    synthesize: SynthesizeParams
