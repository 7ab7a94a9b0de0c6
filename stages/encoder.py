"""Stage `encoder`: a model that makes latents of images, trained here or pretrained, to `models/encoder/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run

if TYPE_CHECKING:
    from pipeline.networks.encoders.model import EncoderModel
    from pipeline.params.data import DataParams
    from pipeline.params.encoder import EncoderParams, SupervisedParams, TrainedParams
    from pipeline.training.curve import Curve
    from pipeline.training.pixel_classifier import PixelClassifier


def encoder(output: Path, curve: Path, params: ParamsPath = PARAMS_FILE) -> None:
    """Train an encoder on the ID training images, or take a pretrained one, to OUTPUT; show epochs in CURVE."""
    from pipeline.networks.encoders.encoder import Encoder
    from pipeline.params.data import DataParams
    from pipeline.params.encoder import EncoderParams
    from pipeline.runtime.device import STAGE_THREADS, prepare_torch
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile
    from pipeline.training.curve import Curve
    from pipeline.training.reduction import fitted_reduction

    file = ParamsFile(params)
    data, settings = file.section("data", DataParams), file.section("encoder", EncoderParams)
    facts = {"data": data.model_dump(mode="json"), "encoder": settings.model_dump(mode="json")}
    prepare_torch(STAGE_THREADS)
    with publish_when_done(output, facts, inputs=[]) as work:
        Curve(curve).show([])
        model = _model(data, settings, Curve(curve), work)
        reduction = fitted_reduction(model, data.open("id_train"), data.image_size, settings)
        Encoder(model, reduction).save(work, data.image_size)


def _model(data: DataParams, settings: EncoderParams, curve: Curve, work: Path) -> EncoderModel:
    """Return the model that the parameters name; raises ModelError when it cannot be read.

    Of a classifier of pixels the upper half goes to `work` at once, unless maps are reduced, which it cannot read.
    """
    from pipeline.networks.encoders.pretrained import read_pretrained
    from pipeline.networks.upper_half import save_upper_half
    from pipeline.params.encoder import SupervisedParams, TrainedParams

    match params := settings.chosen:
        case TrainedParams():
            return _trained(data, params, curve)
        case SupervisedParams():
            encoder, upper = _supervised(data, params, curve)
            if settings.channels is None and settings.side is None:
                save_upper_half(work, upper)
            return encoder
        case _:
            return read_pretrained(params)


def _trained(data: DataParams, params: TrainedParams, curve: Curve) -> EncoderModel:
    from pipeline.networks.encoders.diffusers_autoencoder import DiffusersAutoencoder
    from pipeline.runtime.device import chosen_device
    from pipeline.runtime.progress import progress
    from pipeline.training.autoencoder import steps, train_autoencoder

    images = data.open("id_train")
    with progress("training the encoder, steps", steps(len(images), params)) as advance:
        model = train_autoencoder(images, data.image_size, params, chosen_device(), advance, curve.show)
    return DiffusersAutoencoder(model.cpu())


def _supervised(data: DataParams, params: SupervisedParams, curve: Curve) -> PixelClassifier:
    from pipeline.runtime.device import chosen_device
    from pipeline.runtime.progress import progress
    from pipeline.training.pixel_classifier import steps, train_classifier

    images = data.open("id_train")
    with progress("training the encoder, steps", steps(len(images), params)) as advance:
        return train_classifier(images, data.image_size, params, chosen_device(), advance, curve.show)


if __name__ == "__main__":
    run(encoder)
