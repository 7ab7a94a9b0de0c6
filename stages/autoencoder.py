"""Stage `autoencoder`: ID training images, or a pretrained model, to `models/autoencoder/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run

if TYPE_CHECKING:
    from pipeline.networks.autoencoder import Autoencoder
    from pipeline.params.autoencoder import TrainingParams
    from pipeline.params.data import DataParams
    from pipeline.training.curve import Curve


def autoencoder(output: Path, curve: Path, params: ParamsPath = PARAMS_FILE) -> None:
    """Train the autoencoder on the ID training images, or take a pretrained one, to OUTPUT; show epochs in CURVE."""
    from pipeline.networks.autoencoder import Autoencoder
    from pipeline.params.autoencoder import AutoencoderParams
    from pipeline.params.data import DataParams
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile
    from pipeline.training.curve import Curve

    file = ParamsFile(params)
    data, settings = file.section("data", DataParams), file.section("autoencoder", AutoencoderParams)
    facts = {"data": data.model_dump(mode="json"), "autoencoder": settings.model_dump(mode="json")}
    with publish_when_done(output, facts, inputs=[]) as work:
        Curve(curve).show([])
        if settings.pretrained is None:
            model = _trained(data, settings.training, Curve(curve))
        else:
            model = Autoencoder.load(**settings.pretrained.model_dump())
        model.save(work)


def _trained(data: DataParams, training: TrainingParams, curve: Curve) -> Autoencoder:
    from pipeline.networks.autoencoder import Autoencoder
    from pipeline.runtime.device import STAGE_THREADS, chosen_device, prepare_torch
    from pipeline.runtime.progress import progress
    from pipeline.training.autoencoder import steps, train_autoencoder

    prepare_torch(STAGE_THREADS)
    images = data.open("id_train")
    with progress("training the autoencoder, steps", steps(len(images), training)) as advance:
        model = train_autoencoder(images, data.image_size, training, chosen_device(), advance, curve.show)
    return Autoencoder(model.cpu(), "the trained autoencoder")


if __name__ == "__main__":
    run(autoencoder)
