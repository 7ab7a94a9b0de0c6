"""Read the model that params.yaml names: from a folder, a file, or the hub."""

from pathlib import Path

from pipeline.networks.encoders import diffusers_autoencoder, vision_backbone
from pipeline.networks.encoders.diffusers_autoencoder import DiffusersAutoencoder
from pipeline.networks.encoders.fetch import fetch_model
from pipeline.networks.encoders.model import EncoderModel
from pipeline.networks.encoders.onnx_network import OnnxNetwork, OnnxSettings
from pipeline.networks.encoders.published import require_vision_backbone
from pipeline.networks.encoders.vision_backbone import VisionBackbone
from pipeline.params.encoder import DiffusersParams, OnnxParams, TransformersParams


def read_pretrained(params: DiffusersParams | TransformersParams | OnnxParams) -> EncoderModel:
    """Return the model; raises ModelError when it cannot be read."""
    match params:
        case DiffusersParams():
            return _diffusers(params)
        case TransformersParams():
            return _transformers(params)
        case OnnxParams():
            return _onnx(params)


def _diffusers(params: DiffusersParams) -> DiffusersAutoencoder:
    folder = fetch_model(params.source, params.subfolder, params.revision, diffusers_autoencoder.PATTERNS)
    return DiffusersAutoencoder.load(folder, params.variant)


def backbone_folder(params: TransformersParams) -> Path:
    """Return the folder of a vision backbone, which is fetched where it is on the hub.

    Raises ModelError unless it is one, before its weights are read.
    """
    folder = fetch_model(params.source, None, params.revision, vision_backbone.PATTERNS)
    require_vision_backbone(folder)
    return folder


def _transformers(params: TransformersParams) -> VisionBackbone:
    return VisionBackbone.read(backbone_folder(params), params.layer)


def _onnx(params: OnnxParams) -> OnnxNetwork:
    settings = OnnxSettings(output=params.output, mean=params.mean, std=params.std)
    return OnnxNetwork.read(Path(params.file), settings)
