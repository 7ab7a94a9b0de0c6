"""The `synthesize` section of params.yaml: which methods make outliers, and the parameters of every method there is."""

from typing import Self

from pydantic import ConfigDict, model_validator

from pipeline.params.methods.base import MethodParams
from pipeline.params.methods.copies import CopiesParams
from pipeline.params.methods.dream import DreamParams
from pipeline.params.methods.enabled import OutlierStores
from pipeline.params.methods.gaussian import GaussianParams
from pipeline.params.methods.label_mixup import LabelMixupParams
from pipeline.params.methods.mixup import MixupParams
from pipeline.params.methods.perturb import PerturbParams
from pipeline.params.methods.section import ParentsKind
from pipeline.params.methods.shuffle import ShuffleParams
from pipeline.schema.section import Seed
from pipeline.schema.spelling import nearest_name


class SynthesizeParams(OutlierStores):
    """The methods of a run, and the parameters of each method there is, as the name of its field."""

    model_config = ConfigDict(extra="forbid")

    seed: Seed
    parents: ParentsKind
    perturb: PerturbParams
    mixup: MixupParams
    shuffle: ShuffleParams
    label_mixup: LabelMixupParams
    dream: DreamParams
    gaussian: GaussianParams
    copies: CopiesParams

    @property
    def enabled(self) -> dict[str, MethodParams]:
        """The parameters of each method of this run, by its name."""
        return {name: getattr(self, name) for name in self.methods}

    @property
    def may_have_parents(self) -> bool:
        """Whether a row of any store may start from ID training latents; of imported ones only their rows tell."""
        return bool(self.imported) or any(method.has_parents for method in self.enabled.values())

    @model_validator(mode="after")
    def _methods_exist(self) -> Self:
        for name in self.methods:
            if name not in METHODS:
                raise ValueError(f"methods has {name!r}; {nearest_name(name, METHODS)}")
        if taken := set(self.imported) & set(METHODS):
            raise ValueError(f"imported may not have the name of a method: {', '.join(sorted(taken))}")
        return self

    @model_validator(mode="after")
    def _dream_has_a_model(self) -> Self:
        if "dream" in self.methods and self.dream.model is None:
            raise ValueError("methods has dream, which wants a Stable Diffusion model in dream.model; found null")
        return self


OF_ALL_METHODS = ("methods", "imported", "seed", "parents")
METHODS = tuple(name for name in SynthesizeParams.model_fields if name not in OF_ALL_METHODS)
"""Every synthesis method there is."""
