"""The `teacher` section of params.yaml."""

from typing import Literal

from pipeline.params.networks import NetworkParams, OptimiserParams
from pipeline.schema.section import Section


class TeacherParams(Section):
    """The architecture of teacher and detector, and how the teacher is trained."""

    start: Literal["scratch", "encoder"]
    """Fresh weights, or those of the upper half of the `supervised` encoder, to be fine-tuned in a few epochs."""
    network: NetworkParams
    optimiser: OptimiserParams
