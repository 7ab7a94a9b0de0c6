"""Readers of bundles, as far as a prediction: every kind of encoder, broken files, every digest right again."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as tensor_bytes

from benchmarks.fuzz.broken import Random, replaced
from benchmarks.fuzz.encoders import ENCODERS, IMAGE_SIZE
from benchmarks.fuzz.folders import Files, broken_files, files_of, write_files
from benchmarks.fuzz.run import Reader
from pipeline.detector.bundle import BundleParts, write_bundle
from pipeline.detector.bundle_card import BUNDLE, ENCODER, MODEL_CARD, NETWORK, SCORER, sealed, tensor_entries
from pipeline.detector.detector import Detector
from pipeline.networks.encoders.encoder import Encoder, load_encoder
from pipeline.networks.saved_network import NetworkCard
from pipeline.params.infer import InferParams
from pipeline.params.networks import LinearParams, NetworkParams
from pipeline.posthoc.decision import Decision
from pipeline.posthoc.fitted import fit_scores
from pipeline.posthoc.score import network_outputs
from pipeline.runtime.errors import PipelineError
from pipeline.runtime.files import digest, folder_digest
from pipeline.schema.reader import validate
from pipeline.store.format import LatentSpace, Standardisation

SCORES = {"diffusers": "knn", "supervised": "combined", "onnx": "mahalanobis_pp", "transformers": "vim"}
WEIGHTS = {"diffusers": 0.5, "supervised": 1.0, "onnx": 1.0, "transformers": 0.5}
"""A bundle of diffusers or transformers takes longest."""
NAMES = ("cat", "dog", "owl")
ROWS = 30


def bundle_readers(folder: Path, infer: dict[str, Any]) -> Iterator[Reader]:
    """Yield a reader per kind of encoder; bundles are written below `folder`. infer: the section of params.yaml."""
    place = folder / "bundle"
    images = [np.random.default_rng(seed).integers(0, 256, (20, 20, 3), np.uint8) for seed in range(2)]

    def predict(files: Files) -> object:
        write_files(place, files)
        predictions = Detector.load(place, device="cpu").predict(images)
        for prediction in predictions:
            assert math.isfinite(prediction.outlier_score) or (prediction.error and prediction.is_outlier), prediction
        return predictions

    for kind, encoder in ENCODERS.items():
        files = _good_bundle(folder / kind, encoder, SCORES[kind], infer)
        yield Reader(f"bundle, encoder {kind}", _maker(files), predict, (PipelineError,), WEIGHTS[kind])


def _maker(files: Files) -> Callable[[Random], Files]:
    def made(rng: Random) -> Files:
        broken = broken_files(rng, files) if rng.random() < 0.8 else dict(files)
        return {**broken, BUNDLE: _sealed(rng, broken, files)}

    return made


def _sealed(rng: Random, broken: Files, good: Files) -> bytes:
    """Return bundle.json with the digests of the broken files, and sometimes with odd values of its own."""
    content = json.loads(bytes(good[BUNDLE]))  # type: ignore[arg-type]  # of the good files, it is bytes
    del content["digest"]
    files = {name: found for name, found in broken.items() if isinstance(found, bytes)}
    listed = sorted(name for name in files if name in (NETWORK, SCORER) or name.startswith(f"{ENCODER}/"))
    content["files"] = {name: digest(files[name]) for name in listed}
    inside = sorted((Path(name).relative_to(ENCODER), name) for name in listed if name.startswith(f"{ENCODER}/"))
    lines = [f"{path.as_posix()} {content['files'][name]}" for path, name in inside]
    content["network"]["space"]["autoencoder"] = digest("\n".join(lines).encode())
    for name in (NETWORK, SCORER):
        content["tensors"][name] = _entries(files.get(name, b"")) or content["tensors"][name]
    content["decision"]["weights"] = content["files"].get(NETWORK, "")
    return sealed(replaced(rng, content) if rng.random() < 0.3 else content)


def _entries(content: bytes) -> dict[str, Any]:
    """Return the types and shapes of a file's tensors; none where it is no such file."""
    try:
        entries = tensor_entries(tensors_of(content))
    except (SafetensorError, ValidationError):
        return {}
    return {name: entry.model_dump(mode="json") for name, entry in entries.items()}


def _good_bundle(folder: Path, make_encoder: Callable[[Path], Encoder], score: str, infer: dict[str, Any]) -> Files:
    torch.manual_seed(0)
    make_encoder(folder).save(folder / ENCODER, IMAGE_SIZE)
    saved = load_encoder(folder / ENCODER)
    channels = saved.card.shape[0]
    card = NetworkCard(
        role="detector",
        seed=0,
        network=NetworkParams(width=8, blocks=(1,), latent_mean=False),
        head=LinearParams(kind="linear"),
        space=LatentSpace(
            encoder=folder_digest(folder / ENCODER), scaling_factor=saved.encoder.scaling_factor,
            image_size=IMAGE_SIZE, shape=saved.card.shape,
        ),
        standardisation=Standardisation(mean=(0.0,) * channels, std=(1.0,) * channels),
        class_names=NAMES,
    )  # fmt: skip
    network = card.build().eval()
    labels = torch.arange(ROWS) % len(NAMES)
    outputs = network_outputs(network, torch.randn(ROWS, *saved.card.shape))
    small = {**infer, "knn_neighbours": 4, "combined": {**infer["combined"], "images_per_class": 5, "neighbours": 1}}
    scorer = fit_scores(network, outputs, labels, outputs, validate(Path("params.yaml"), InferParams, small), (score,))
    weights = tensor_bytes({name: value.contiguous() for name, value in network.state_dict().items()})
    decision = Decision(
        seed=0, weights=digest(weights), score=score, threshold=1.0, id_rejection_target=0.05,
        id_rejection_validation=0.04, validation_images=50,
    )  # fmt: skip
    (id_scores,) = (values.numpy() for values in scorer(outputs).values())
    parts = BundleParts(folder / ENCODER, weights, card, decision, scorer, id_scores, "c" * 64, None)
    write_bundle(folder / "bundle", parts, "a card\n")
    return {name: content for name, content in files_of(folder / "bundle").items() if name != MODEL_CARD}
