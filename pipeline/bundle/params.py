"""The `bundle` section of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.config import Section, Seeds
from pipeline.infer.params import InferParams
from pipeline.synthesize.params import SynthesizeParams
from pipeline.train.params import TrainParams

Line = Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]*\S[^\r\n]*$")]


class BundleParams(Section):
    """What a bundle's model card says that nothing else knows."""

    title: Line
    licence: Line | None
    """An identifier of the Hugging Face hub; null: the card names none."""


class Params(Section):
    """What this stage reads of params.yaml; of `synthesize` only which stores there are."""

    seeds: Seeds
    synthesize: SynthesizeParams
    train: TrainParams
    infer: InferParams
    bundle: BundleParams
