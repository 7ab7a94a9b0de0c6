"""The whole of `params.yaml`, to check a file before the first stage runs."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from pipeline.autoencoder.params import AutoencoderParams
from pipeline.bundle.params import BundleParams
from pipeline.config import Section, Seeds, load_params
from pipeline.denoiser.params import DenoiserParams
from pipeline.encode.params import EncodeParams
from pipeline.guard.params import GuardParams
from pipeline.images.params import DataParams
from pipeline.infer.params import InferParams
from pipeline.pretrained_teacher.params import PretrainedTeacherParams
from pipeline.probe.params import ProbeParams
from pipeline.quality.params import QualityParams
from pipeline.score.params import ScoreParams
from pipeline.synthesize.params import SynthesizeParams
from pipeline.teacher.params import TeacherParams
from pipeline.train.params import TrainParams


class AllParams(Section):
    """Every section."""

    seeds: Seeds
    data: DataParams
    autoencoder: AutoencoderParams
    encode: EncodeParams
    guard: GuardParams
    probe: ProbeParams
    denoiser: DenoiserParams
    teacher: TeacherParams
    pretrained_teacher: PretrainedTeacherParams
    synthesize: SynthesizeParams
    quality: QualityParams
    train: TrainParams
    infer: InferParams
    score: ScoreParams
    bundle: BundleParams

    @model_validator(mode="after")
    def _sections_fit_each_other(self) -> Self:
        """Refuse what a stage would refuse much later, where these parameters alone decide it."""
        made, found = self.synthesize, []
        if "label_mixup" in made.methods:
            found += made.label_mixup.problems(self.denoiser.noise_levels, self.denoiser.class_dropout)
        if "dream" in made.methods and self.autoencoder.pretrained is None:
            found.append(
                "synthesize.methods has dream, which wants the VAE of synthesize.dream.model, its subfolder 'vae', in "
                "autoencoder.pretrained; found null"
            )
        if self.train.micl.club.weight and not made.may_have_parents:
            found.append(
                f"train.micl.club.weight is {self.train.micl.club.weight}, but no row of {', '.join(made.methods)} "
                f"has a parent: set it to 0, or add to synthesize.methods one that starts from ID latents"
            )
        if found:
            raise ValueError("; ".join(found))
        return self


def load_all(path: Path) -> AllParams:
    """Return the parameters of a run; raises ParamsError, which lists every problem found."""
    return load_params(path, AllParams)
