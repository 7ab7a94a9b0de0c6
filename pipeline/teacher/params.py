"""The `teacher` section of params.yaml."""

from pipeline.config import Section, Seeds
from pipeline.networks.params import NetworkParams, OptimiserParams


class TeacherParams(Section):
    """The architecture of teacher and detector, and how the teacher is trained."""

    network: NetworkParams
    optimiser: OptimiserParams


class Params(Section):
    """What this stage reads of params.yaml."""

    seeds: Seeds
    teacher: TeacherParams
