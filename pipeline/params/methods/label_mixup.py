"""Parameters of method `label_mixup`."""

from typing import ClassVar

from pipeline.params.methods.base import MixedClasses
from pipeline.schema.section import Count, Weight


class LabelMixupParams(MixedClasses):
    """A diffusion model asked for several classes at once."""

    has_parents: ClassVar[bool] = False
    needs_denoiser: ClassVar[bool] = True

    steps: Count
    """Of the sampler, from noise to a latent."""
    guidance: Weight
    """Scale of classifier-free guidance: 1 is none, more exaggerates the classes."""

    def problems(self, noise_levels: int, class_dropout: float) -> list[str]:
        """Return which of these parameters a denoiser trained with `noise_levels` and `class_dropout` cannot serve."""
        problems = []
        if self.guidance != 1 and class_dropout == 0:
            problems.append(
                f"synthesize.label_mixup.guidance is {self.guidance}, which wants a denoiser that was trained without "
                f"classes too, but denoiser.class_dropout is 0: set guidance to 1, or class_dropout to 0.1 or so"
            )
        if noise_levels % self.steps:
            problems.append(
                f"synthesize.label_mixup.steps is {self.steps}, wanted a divisor of denoiser.noise_levels, "
                f"{noise_levels}: the sampler steps through these evenly"
            )
        return problems
