"""Parameters of method `dream`."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.params.methods.base import MixedClasses
from pipeline.schema.section import Count, Positive, Section, Weight, distinct


def _one_gap(prompt: str) -> str:
    if prompt.count("{}") != 1:
        raise ValueError("it wants {} once, where the name of the class goes")
    return prompt


Prompt = Annotated[str, AfterValidator(_one_gap)]


class TextToImageParams(Section):
    """A Stable Diffusion model that exists already, in diffusers' folder layout."""

    source: str
    """A local folder, or an id on the Hugging Face hub."""
    revision: str | None
    """Commit, tag or branch on the hub; pin a commit so that a run can be repeated."""


class DreamParams(MixedClasses):
    """A text-to-image model asked for something beside a class, or between classes."""

    has_parents: ClassVar[bool] = False

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
