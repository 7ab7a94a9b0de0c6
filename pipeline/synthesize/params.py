"""The `synthesize` section of params.yaml: which methods make outliers, and how many rows each."""

from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from pipeline.config import Count, Fraction, PlainName, Positive, Section, Seed, Weight, distinct

MethodName = Literal["perturb", "mixup", "shuffle", "label_mixup", "dream", "gaussian", "copies"]
MixupKind = Literal["linear", "spherical", "masked", "channels"]
NOBODY = -1
"""Parent or class of a row that has none."""
WITHOUT_PARENTS: tuple[MethodName, ...] = ("label_mixup", "dream", "gaussian")
"""Methods whose rows do not start from ID latents."""


def _one_gap(prompt: str) -> str:
    if prompt.count("{}") != 1:
        raise ValueError("it wants {} once, where the name of the class goes")
    return prompt


Prompt = Annotated[str, AfterValidator(_one_gap)]


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
    """Range of the first of two classes' share; away from 0 and 1, or the row shows one class only. Of three classes or
    more none has a share above lam_max, and lam_min is not looked at."""

    @model_validator(mode="after")
    def _range_is_possible(self) -> Self:
        if self.lam_min > self.lam_max:
            raise ValueError(f"lam_min {self.lam_min} is above lam_max {self.lam_max}")
        if self.classes > 2 and self.lam_max * self.classes < 1:
            raise ValueError(f"lam_max {self.lam_max} is below 1 / classes, so {self.classes} shares make no whole")
        return self


class MixupParams(Shares):
    """Latents of different classes, mixed."""

    rows: Count
    kinds: Annotated[tuple[MixupKind, ...], Field(min_length=1), AfterValidator(distinct)]
    """In equal parts. Linear and spherical mixes take `classes` latents; a block of places or channels always is of one
    class in another."""


class LabelMixupParams(Shares):
    """A diffusion model asked for several classes at once."""

    rows: Count
    steps: Count
    """Of the sampler, from noise to a latent."""
    guidance: Weight
    """Scale of classifier-free guidance: 1 is none, more exaggerates the classes."""

    def problems(self, noise_levels: int, class_dropout: float) -> list[str]:
        """Return what is asked of a denoiser, trained with these of its parameters, that it cannot do."""
        found = []
        if self.guidance != 1 and class_dropout == 0:
            found.append(
                f"synthesize.label_mixup.guidance is {self.guidance}, which wants a denoiser that was trained without "
                f"classes too, but denoiser.class_dropout is 0: set guidance to 1, or class_dropout to 0.1 or so"
            )
        if noise_levels % self.steps:
            found.append(
                f"synthesize.label_mixup.steps is {self.steps}, wanted a divisor of denoiser.noise_levels, "
                f"{noise_levels}: the sampler steps through these evenly"
            )
        return found


class TextToImageParams(Section):
    """A Stable Diffusion model that exists already, in diffusers' folder layout."""

    source: str
    """A local folder, or an id on the Hugging Face hub."""
    revision: str | None
    """Commit, tag or branch on the hub; pin a commit so that a run can be repeated."""


class DreamParams(Shares):
    """A text-to-image model asked for something beside a class, or between classes."""

    rows: Count
    model: TextToImageParams | None
    prompts: Annotated[tuple[Prompt, ...], AfterValidator(distinct)]
    """Templates, with {} for the name of the class; a class is the set of what they give."""
    kinds: Annotated[tuple[Literal["perturbed", "mixed"], ...], Field(min_length=1), AfterValidator(distinct)]
    """In equal parts."""
    neighbours: Count
    """k of the k-NN distance that says how far out an embedding is."""
    boundary_share: Annotated[float, Field(gt=0, le=1)]
    """Share of a class's prompts, the outermost by k-NN distance, that perturbed rows start from."""
    sigma: Positive
    """Standard deviation of the noise, in units of the class's own per value."""
    candidates: Count
    """Noisy copies per row, of which the one farthest from its class is kept."""
    steps: Count
    """Of the sampler, from noise to a latent."""
    guidance: Weight
    """Scale of classifier-free guidance: 1 is none, more exaggerates what is asked for."""

    @model_validator(mode="after")
    def _prompts_have_neighbours(self) -> Self:
        if len(self.prompts) <= self.neighbours:
            raise ValueError(
                f"neighbours is {self.neighbours}, which wants {self.neighbours + 1} prompts; found {len(self.prompts)}"
            )
        return self


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
    imported: tuple[PlainName, ...]
    """Folders of `data/outliers` that `dvc import` brought from another repository."""
    seed: Seed
    perturb: PerturbParams
    mixup: MixupParams
    shuffle: ShuffleParams
    label_mixup: LabelMixupParams
    dream: DreamParams
    gaussian: GaussianParams
    copies: CopiesParams

    @property
    def stores(self) -> tuple[str, ...]:
        """Every store in `data/outliers` that the detector trains on."""
        return (*self.methods, *self.imported)

    @property
    def may_have_parents(self) -> bool:
        """Whether a row of any store may start from ID training latents; of imported ones only their rows tell."""
        return bool(self.imported) or not set(WITHOUT_PARENTS).issuperset(self.methods)

    @model_validator(mode="after")
    def _stores_are_distinct(self) -> Self:
        if len(set(self.stores)) < len(self.stores):
            raise ValueError(f"methods and imported name a store twice: {', '.join(self.stores)}")
        if taken := set(self.imported) & set(get_args(MethodName)):
            raise ValueError(f"imported may not have the name of a method: {', '.join(sorted(taken))}")
        return self

    @model_validator(mode="after")
    def _dream_has_a_model(self) -> Self:
        if "dream" in self.methods and self.dream.model is None:
            raise ValueError("methods has dream, which wants a Stable Diffusion model in dream.model; found null")
        return self


class Params(Section):
    """What this stage reads of params.yaml."""

    synthesize: SynthesizeParams
