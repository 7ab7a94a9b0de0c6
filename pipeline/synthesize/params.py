"""The `synthesize` section of params.yaml: which methods make outliers, and how many rows each."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from pipeline.config import Count, Fraction, Positive, Section, Seed, Weight

MethodName = Literal["perturb", "mixup", "shuffle", "label_mixup", "gaussian", "copies"]
NOBODY = -1
"""Parent or class of a row that has none."""
StoreName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class PerturbParams(Section):
    """Noise around the outermost latents of a class."""

    rows: Count
    neighbours: Count
    """k of the k-NN distance that says how far out a latent is."""
    boundary_share: Annotated[float, Field(gt=0, le=1)]
    """Share of a class, the outermost by k-NN distance, that parents are drawn from."""
    sigma: Positive
    """Standard deviation of the noise, in units of the class's own."""
    noise: Literal["diagonal", "covariance"]
    """Shaped like the class: by its standard deviation per value, or by its covariance."""
    candidates: Count
    """Noisy copies per row, of which the one farthest from its class is kept."""


class Shares(Section):
    """With how much of each class a row that lies between classes is made."""

    classes: Annotated[int, Field(ge=2)]
    """Different classes that meet in a row."""
    lam_min: Fraction
    lam_max: Fraction
    """Range of the first of two classes' share; away from 0 and 1, or the row shows one class only. Of three or more
    classes none has a share above lam_max."""

    @model_validator(mode="after")
    def _range_is_possible(self) -> Self:
        if self.lam_min > self.lam_max:
            raise ValueError(f"lam_min {self.lam_min} is above lam_max {self.lam_max}")
        if self.lam_max * self.classes < 1:
            raise ValueError(f"lam_max {self.lam_max} is below 1 / classes, so {self.classes} shares make no whole")
        return self


class MixupParams(Shares):
    """Latents of different classes, mixed."""

    rows: Count
    kinds: tuple[Literal["linear", "spherical", "masked", "channels"], ...] = Field(min_length=1)
    """In equal parts. Linear and spherical mixes take `classes` latents; a block of places or channels always is of one
    class in another."""

    @model_validator(mode="after")
    def _kinds_are_distinct(self) -> Self:
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f"kinds names one twice: {', '.join(self.kinds)}")
        return self


class LabelMixupParams(Shares):
    """A diffusion model asked for several classes at once."""

    rows: Count
    steps: Count
    """Of the sampler, from noise to a latent."""
    guidance: Weight
    """Scale of classifier-free guidance: 1 is none, more exaggerates the classes."""


class ShuffleParams(Section):
    """One latent with its places permuted."""

    rows: Count
    patch: Count
    """Side of the square that moves as a whole, in latent places."""


class GaussianParams(Section):
    """Null control: Gaussian latents with the ID mean and covariance."""

    rows: Count


class CopiesParams(Section):
    """Null control: ID latents as they are."""

    rows: Count


class SynthesizeParams(Section):
    """The methods of a run, and the parameters of each method there is."""

    methods: tuple[MethodName, ...] = Field(min_length=1)
    imported: tuple[StoreName, ...]
    """Folders of `data/outliers` that `dvc import` brought from another repository."""
    seed: Seed
    perturb: PerturbParams
    mixup: MixupParams
    shuffle: ShuffleParams
    label_mixup: LabelMixupParams
    gaussian: GaussianParams
    copies: CopiesParams

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
