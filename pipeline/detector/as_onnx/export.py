"""Write a bundle as an ONNX file, with a JSON file and a card beside it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.detector.as_onnx.agreement import MOST_APART, Agreement, Picture, agreement, drawn_pictures
from pipeline.detector.as_onnx.card import onnx_card
from pipeline.detector.as_onnx.graph import detector_graph, opset_of
from pipeline.detector.as_onnx.weights import Weights, with_smaller_weights
from pipeline.detector.detector import Detector
from pipeline.detector.listing import count_images, image_files
from pipeline.images.decode import decode_file, default_largest_pixels
from pipeline.images.encoded.no_picture import NoPictureError
from pipeline.runtime.errors import ModelError, OverwriteError
from pipeline.runtime.files import digest, write_bytes, write_json
from pipeline.runtime.progress import progress
from pipeline.runtime.text.terminal import warn

FORMAT = "latent-outliers-onnx/1"
LARGEST = 2**31 - 2**20
"""Most bytes of a graph: an ONNX file in one piece is a protocol buffer, which ends at 2 GiB."""


def export_onnx(detector: Detector, file: Path, weights: Weights = "float32", compare: list[Path] | None = None) -> str:
    """Write `file`, which ends in .onnx, and beside it .json and .md; return how the graph agrees with the detector.

    detector: on the CPU. weights: what the weights are stored as. compare: images and folders of images on which graph
    and detector are compared, in place of a few drawn pictures.

    Nothing is written unless the graph with whole weights agrees with the detector. Files of the same name are
    replaced. Raises ModelError, OverwriteError, ImageFileError and MissingExtraError.
    """
    if file.is_dir():
        raise OverwriteError(file, "a folder", "a file to write", f"Name a file in it: {file / 'detector.onnx'}.")
    images = count_images(compare) if compare else 0
    graph = detector_graph(detector)
    if graph.ByteSize() > LARGEST:
        raise ModelError(f"{detector.bundle.folder}: as ONNX it has {graph.ByteSize():,} bytes, wanted at most 2 GiB.")
    _require_agreement(detector, graph.SerializeToString())
    try:
        graph = with_smaller_weights(graph, weights)
    except ValueError as error:
        raise ModelError(f"{detector.bundle.folder}: {error}. Store them as float32 or int8.") from error
    _describe(graph, detector, weights)
    content = graph.SerializeToString()
    found = _compared(detector, content, compare, images) if compare else agreement(detector, content, drawn_pictures())
    about = _about(detector, weights, content, found) | {"opset": opset_of(graph)}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, content)
    write_json(file.with_suffix(".json"), about)
    write_bytes(file.with_suffix(".md"), onnx_card(file.stem, about).encode())
    return found.sentence()


def _require_agreement(detector: Detector, content: bytes) -> None:
    found = agreement(detector, content, drawn_pictures())
    if not found.largest_share <= MOST_APART:
        raise ModelError(
            f"{detector.bundle.folder}: as ONNX it gives other scores, by up to {max(found.differences):.3g}, wanted "
            f"those of the bundle. Nothing was written. Choose another encoder, or another version of PyTorch."
        )


def _compared(detector: Detector, content: bytes, sources: list[Path], images: int) -> Agreement:
    with progress("comparing graph and bundle, images", images) as advance:

        def pictures() -> Iterator[Picture]:
            for name in image_files(sources):
                try:
                    picture = decode_file(name, default_largest_pixels())
                except (NoPictureError, OSError) as error:
                    warn(f"{name}: passed over, {error}")
                else:
                    yield np.asarray(picture)
                advance(1)

        return agreement(detector, content, pictures(), "images")


def _describe(graph: Any, detector: Detector, weights: Weights) -> None:
    """Write what a program needs into the graph itself too, for whoever has only that file."""
    card = detector.bundle.card
    for key, value in {
        "format": FORMAT,
        "class_names": json.dumps(list(detector.class_names)),
        "threshold": repr(detector.threshold),
        "score": card.decision.score,
        "image_size": str(detector.image_size),
        "weights": weights,
    }.items():
        graph.metadata_props.add(key=key, value=value)
    graph.producer_name, graph.producer_version = "latent-outliers", FORMAT


def _about(detector: Detector, weights: Weights, content: bytes, found: Agreement) -> dict[str, Any]:
    """Return the content of the JSON file."""
    card = detector.bundle.card
    return {
        "format": FORMAT,
        "class_names": list(detector.class_names),
        "threshold": detector.threshold,
        "score": card.decision.score,
        "id_rejection": float((detector.bundle.id_scores > detector.threshold).mean()),
        "image_size": detector.image_size,
        "weights": weights,
        "bytes": len(content),
        "sha256": digest(content),
        "agreement": found.as_json(),
        "made_from": {
            "encoder": card.network.space.encoder,
            "network": card.decision.weights,
            "ID training latents": card.id_train,
        },
    }
