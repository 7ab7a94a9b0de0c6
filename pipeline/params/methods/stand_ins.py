"""The part of `synthesize` that says how outliers are made which stand in for OOD images."""

from pipeline.params.methods.gaussian import GaussianParams
from pipeline.params.methods.mixup import MixupParams
from pipeline.params.methods.perturb import PerturbParams
from pipeline.params.methods.shuffle import ShuffleParams
from pipeline.schema.section import PartOfSection, Seed


class StandInMethods(PartOfSection):
    """The methods that need no model, and the seed of their draws."""

    seed: Seed
    perturb: PerturbParams
    mixup: MixupParams
    shuffle: ShuffleParams
    gaussian: GaussianParams
