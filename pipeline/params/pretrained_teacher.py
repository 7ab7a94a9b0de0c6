"""The `pretrained_teacher` section of params.yaml."""

from pipeline.schema.section import Count, Positive, Section


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
    logistic_c: Positive
    """Of the logistic regression that stands in for a head of other classes: C, the inverse of its penalty."""
