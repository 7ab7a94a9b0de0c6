"""The whole of `params.yaml`, to check a file before the first stage runs."""

from pathlib import Path

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


def load_all(path: Path) -> AllParams:
    """Return the parameters of a run; raises ParamsError, which lists every problem found."""
    return load_params(path, AllParams)
