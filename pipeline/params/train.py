"""The `train` section of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.params.networks import HeadParams, OptimiserParams
from pipeline.schema.section import Count, Positive, Section, Weight, distinct


class MixingParams(Section):
    """ID rows are mixed with each other, and their labels alike."""

    weight: Weight
    kinds: Annotated[tuple[Literal["linear", "masked"], ...], Field(min_length=1), AfterValidator(distinct)]
    """In equal parts."""


class OutlierExposureParams(Section):
    """Predictions on outliers are drawn to the uniform one, or to the classes that they lie between."""

    weight: Weight
    label_mix: Annotated[float, Field(ge=0, le=1)]
    """Share of its mixed label in the target of a row between classes; the rest of the target is uniform."""


class EnergyBoundParams(Section):
    """Energies of ID rows are drawn below one bound, those of outliers above another."""

    weight: Weight
    id_energy: float
    outlier_energy: float

    @model_validator(mode="after")
    def _bounds_are_apart(self) -> Self:
        if self.id_energy >= self.outlier_energy:
            raise ValueError(f"id_energy {self.id_energy} is not below outlier_energy {self.outlier_energy}")
        return self


class ReconstructionParams(Section):
    """Latents of ID rows are guessed from their features, by a decoder that learns along."""

    weight: Weight
    hidden: Count
    """Width of the decoder's hidden layer."""


class InfoNceParams(Section):
    """ID features are drawn to their class and pushed from other classes and from outliers."""

    weight: Weight
    temperature: Positive


class ClubParams(Section):
    """An outlier's feature is made to tell nothing of its parent's."""

    weight: Weight
    hidden: Count
    """Width of the two networks that guess one feature from the other."""
    learning_rate: Positive
    """Of their own optimiser."""
    steps: Count
    """Of that optimiser per step of the detector's."""


class PaperParams(Section):
    """The term of OAL's published code, whose expected gradient is zero; for comparison only."""

    weight: Weight
    hidden: Count


class MiclParams(Section):
    """Mutual-information contrastive learning: a bound that is raised, and one that is lowered."""

    info_nce: InfoNceParams
    club: ClubParams
    paper: PaperParams


class LogitDistillationParams(Section):
    """Predictions on ID rows are drawn to the teacher's."""

    weight: Weight
    temperature: Positive


class FeatureDistillationParams(Section):
    """Features of ID rows are drawn to a translation of the teacher's, which is learnt along."""

    weight: Weight
    temperature: Positive


class DistillationParams(Section):
    """What the detector keeps of its teacher."""

    logits: LogitDistillationParams
    features: FeatureDistillationParams


class TrainParams(Section):
    """How the detector is trained; a loss of weight 0 is not computed."""

    start: Literal["scratch", "teacher"]
    """Fresh weights, or the teacher's, to be fine-tuned: then a few epochs at a low rate are enough."""
    head: HeadParams
    optimiser: OptimiserParams
    outlier_batch_size: Count
    """Outliers per step, in equal parts from each method's store."""
    mixing: MixingParams
    outlier_exposure: OutlierExposureParams
    energy_bound: EnergyBoundParams
    reconstruction: ReconstructionParams
    micl: MiclParams
    distillation: DistillationParams

    @property
    def uses_outliers(self) -> bool:
        """Whether any loss looks at outliers."""
        parts = (self.outlier_exposure, self.energy_bound, self.micl.info_nce, self.micl.club, self.micl.paper)
        return any(part.weight for part in parts)
