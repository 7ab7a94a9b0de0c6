"""The `teacher` section of params.yaml."""

from pipeline.params.networks import NetworkParams, OptimiserParams
from pipeline.schema.section import Section


class TeacherParams(Section):
    """The architecture of teacher and detector, and how the teacher is trained."""

    network: NetworkParams
    optimiser: OptimiserParams
