"""The `pretrained_teacher` section of params.yaml."""

from pipeline.config import Count, Positive, Section
from pipeline.images.params import DataParams


class ModelParams(Section):
    """An image classifier that exists already, in transformers' folder layout."""

    source: str
    """A local folder, or an id on the Hugging Face hub."""
    revision: str | None
    """Commit, tag or branch on the hub; pin a commit so that a run can be repeated."""


class PretrainedTeacherParams(Section):
    """Which classifier to distil from, in place of the pipeline's own teacher, and how it is asked."""

    model: ModelParams | None
    batch_size: Count
    """Images per forward pass. A parameter, because it may change the last bit of an output."""
    probe_c: Positive
    """scikit-learn's C of the linear probe that stands in for a head of other classes: the inverse of its penalty."""


class Params(Section):
    """What this stage reads of params.yaml."""

    data: DataParams
    pretrained_teacher: PretrainedTeacherParams
