"""The `train` section of params.yaml."""

from pipeline.config import Count, Positive, Section, Seeds, Weight
from pipeline.networks.params import OptimiserParams
from pipeline.synthesize.params import SynthesizeParams


class OutlierExposureParams(Section):
    """Predictions on outliers are drawn to the uniform one."""

    weight: Weight


class MiclParams(Section):
    """InfoNCE over ID features, with outliers as extra negatives."""

    weight: Weight
    temperature: Positive


class DistillationParams(Section):
    """Predictions on ID rows are drawn to the teacher's."""

    weight: Weight
    temperature: Positive


class TrainParams(Section):
    """How the detector is trained; a loss of weight 0 is not computed."""

    optimiser: OptimiserParams
    outlier_batch_size: Count
    """Outliers per step, in equal parts from each method's store."""
    outlier_exposure: OutlierExposureParams
    micl: MiclParams
    distillation: DistillationParams


class Params(Section):
    """What this stage reads of params.yaml; of `synthesize` only which stores there are."""

    seeds: Seeds
    synthesize: SynthesizeParams
    train: TrainParams
