"""Run the stage: from the ID training images, or a pretrained model, to `models/autoencoder/`."""

from pathlib import Path

from pipeline.autoencoder.model import Autoencoder
from pipeline.autoencoder.params import Params, PretrainedParams
from pipeline.autoencoder.train import steps, train_autoencoder
from pipeline.config import load_params
from pipeline.curve import Curve
from pipeline.device import STAGE_THREADS, chosen_device, prepare_torch
from pipeline.images.source import open_image_set
from pipeline.progress import progress
from pipeline.workspace import unfinished


def make_autoencoder(params_file: Path, output: Path, curve: Path) -> None:
    """Train the autoencoder, or copy the pretrained one that the parameters name, into `output`.

    curve: the file that shows each epoch; of a model that is not trained here it has none.
    """
    params = load_params(params_file, Params)
    with unfinished(output, {"params": params.model_dump(mode="json")}, inputs=[]) as work:
        pretrained = params.autoencoder.pretrained
        Curve(curve).show([])
        autoencoder = _trained(params, Curve(curve)) if pretrained is None else _loaded(pretrained)
        autoencoder.save(work)


def _loaded(pretrained: PretrainedParams) -> Autoencoder:
    return Autoencoder.load(pretrained.source, pretrained.subfolder, pretrained.revision)


def _trained(params: Params, curve: Curve) -> Autoencoder:
    prepare_torch(STAGE_THREADS)
    images, training = open_image_set("id_train", params.data), params.autoencoder.training
    size, device = params.data.image_size, chosen_device()
    with progress("training the autoencoder, steps", steps(len(images), training)) as advance:
        model = train_autoencoder(images, size, training, device, advance, curve.show)
    return Autoencoder(model.cpu(), "the trained autoencoder")
