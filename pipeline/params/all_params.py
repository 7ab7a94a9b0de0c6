"""The whole of `params.yaml`, to check a file before the first stage runs."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from pipeline.params.bundle import BundleParams
from pipeline.params.data import DataParams
from pipeline.params.denoiser import DenoiserParams
from pipeline.params.encode import EncodeParams, ViewsParams
from pipeline.params.encoder import EncoderParams
from pipeline.params.guard import GuardParams
from pipeline.params.infer import InferParams
from pipeline.params.pretrained_teacher import PretrainedTeacherParams
from pipeline.params.probe import ProbeParams
from pipeline.params.quality import QualityParams
from pipeline.params.rival import RivalParams
from pipeline.params.score import ScoreParams
from pipeline.params.synthesize import SynthesizeParams
from pipeline.params.teacher import TeacherParams
from pipeline.params.train import TrainParams
from pipeline.schema.reader import ParamsFile
from pipeline.schema.section import Section, Seeds


class AllParams(Section):
    """Every section."""

    seeds: Seeds
    data: DataParams
    encoder: EncoderParams
    encode: EncodeParams
    views: ViewsParams
    guard: GuardParams
    probe: ProbeParams
    denoiser: DenoiserParams
    teacher: TeacherParams
    pretrained_teacher: PretrainedTeacherParams
    synthesize: SynthesizeParams
    quality: QualityParams
    train: TrainParams
    infer: InferParams
    rival: RivalParams
    score: ScoreParams
    bundle: BundleParams

    @model_validator(mode="after")
    def _sections_fit_each_other(self) -> Self:
        """Refuse what a stage would refuse much later, where these parameters alone decide it."""
        synthesize, problems = self.synthesize, []
        if "label_mixup" in synthesize.methods:
            problems += synthesize.label_mixup.problems(self.denoiser.noise_levels, self.denoiser.class_dropout)
        if "dream" in synthesize.methods and self.encoder.kind != "diffusers":
            problems.append(
                "synthesize.methods has dream, which wants the VAE of synthesize.dream.model, its subfolder 'vae', as "
                f"encoder.diffusers; found encoder.kind {self.encoder.kind!r}"
            )
        if self.teacher.start == "encoder":
            problems += self._upper_half_problems()
        if (weight := self.train.micl.club.weight) and not synthesize.may_have_parents:
            problems.append(
                f"train.micl.club.weight is {weight}, but no row of {', '.join(synthesize.methods)} "
                f"has a parent: set it to 0, or add to synthesize.methods one that starts from ID latents"
            )
        if synthesize.parents == "views" and not self.views.count:
            problems.append(
                "synthesize.parents is 'views', but views.count is 0: set it to 8 or so, or synthesize.parents to plain"
            )
        problems += self.bundle.problems(self.encoder)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _upper_half_problems(self) -> list[str]:
        """Return why no teacher can start from the upper half of the encoder."""
        encoder, network = self.encoder, self.encoder.supervised.network
        if encoder.kind != "supervised":
            found = f"encoder.kind {encoder.kind!r}"
        elif encoder.channels is not None or encoder.side is not None:
            found = f"encoder.channels {encoder.channels} and encoder.side {encoder.side}, whose latents it cannot read"
        elif network != self.teacher.network:
            found = f"encoder.supervised.network {network!r} and teacher.network {self.teacher.network!r}"
        else:
            return []
        wanted = "kind supervised, channels and side null, and the same network"
        return [f"teacher.start is encoder, which wants {wanted}; found {found}: correct that, or set it to scratch"]


def load_all(path: Path) -> AllParams:
    """Return the parameters of a run; raises ParamsError, which lists every problem."""
    return ParamsFile(path).whole(AllParams)
