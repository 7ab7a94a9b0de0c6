"""A detector as one ONNX graph: resizing, encoder, standardisation, network, score and threshold."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.detector.as_onnx.resizing import OPSET, RESIZED, resizing_graph
from pipeline.detector.detector import Detector
from pipeline.latents.standardising import to_standardised
from pipeline.networks.encoders.encoder import Encoder
from pipeline.networks.encoders.onnx_file import import_onnx, needed_for
from pipeline.networks.encoders.onnx_network import OnnxNetwork
from pipeline.posthoc.score import NetworkOutputs
from pipeline.runtime.errors import ModelError, PipelineError, reason

LABEL, PROBABILITIES, SCORE, IS_OUTLIER = "label", "probabilities", "outlier_score", "is_outlier"
OUTPUTS = (LABEL, PROBABILITIES, SCORE, IS_OUTLIER)
NORMALISED, MAPS = "normalised", "maps"
IR_VERSION = 10
"""Version of the file format; onnxruntime reads it from 1.18 on."""
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""What writing a graph needs."""


class _Answers(nn.Module):
    """Maps of the encoder's model to the four outputs, computed as `Detector.predict_pixels` does."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.network = detector.network
        self.reduction, self.scorer = detector.encoder.reduction, detector.scorer
        self.standardisation = detector.bundle.card.network.standardisation
        self.threshold = detector.threshold

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if maps.ndim == 2:
            maps = maps[:, :, None, None]
        latents = maps if self.reduction is None else self.reduction(maps)
        standardised = to_standardised(latents.half().float(), self.standardisation)  # as stores have them
        logits, features = self.network(standardised)
        probabilities = logits.softmax(1)
        (scores,) = self.scorer(NetworkOutputs(logits.double(), features.double())).values()
        finite = scores.isfinite() & probabilities.isfinite().all(1)
        scores = torch.where(finite, scores, torch.inf)
        return probabilities.argmax(1), probabilities, scores.float(), scores > self.threshold


class _Whole(nn.Module):
    """Pixels of the encoder's size to the four outputs."""

    def __init__(self, encoder: Encoder, answers: _Answers) -> None:
        super().__init__()
        self.encoder, self.answers = encoder.model, answers
        self.weights = nn.ModuleList(part for part in vars(encoder.model).values() if isinstance(part, nn.Module))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        answers: tuple[Tensor, Tensor, Tensor, Tensor] = self.answers(self.encoder.encode(_scaled(pixels)))
        return answers


class _Normalised(nn.Module):
    """Pixels to the input of a network that is an ONNX file itself."""

    def __init__(self, model: OnnxNetwork) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        return self.model.normalised(_scaled(pixels))


def detector_graph(detector: Detector) -> Any:
    """Return an ONNX model from PIXELS (n, h, w, 3) uint8, RGB of any size, to OUTPUTS.

    label (n,) int64, the number of the most probable class; probabilities (n, k) float32; outlier_score (n,) float32;
    is_outlier (n,) bool. Scores are computed in float64, as the detector does, and compared with the threshold before
    they are rounded. A score that is not finite is infinite here, and its image an outlier.

    detector: on the CPU. Raises ModelError when it cannot be written as such a graph, and MissingExtraError.
    """
    for package in PACKAGES:
        import_onnx(package, "export-onnx")
    size, answers = detector.image_size, _Answers(detector).eval()
    pixels = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    with _quiet(), _exporting(detector):
        if isinstance(model := detector.encoder.model, OnnxNetwork):
            shape = detector.encoder.model.encode(_scaled(pixels)).shape
            parts = [
                _exported(_Normalised(model), pixels, RESIZED, (NORMALISED,)),
                _as_part(needed_for(model.settings.output, model.content, "the encoder"), model.settings.output),
                _exported(answers, torch.zeros(shape), MAPS, OUTPUTS),
            ]
        else:
            parts = [_exported(_Whole(detector.encoder, answers).eval(), pixels, RESIZED, OUTPUTS)]
        return _joined([resizing_graph(size), *parts])


def _scaled(pixels: Tensor) -> Tensor:
    """Return pixels as the encoder takes them, -1 to 1."""
    return pixels.float() / 127.5 - 1


def _exported(module: nn.Module, example: Tensor, name: str, outputs: tuple[str, ...]) -> Any:
    """Return a module as ONNX, for any number of images."""
    program = torch.onnx.export(
        module,
        (example,),
        dynamo=True,
        input_names=[name],
        output_names=list(outputs),
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        opset_version=OPSET,
        verbose=False,
    )
    assert program is not None  # only the older exporter returns none
    model = program.model_proto
    if any(not entry.type.tensor_type.shape.dim[0].dim_param for entry in model.graph.output):
        raise ValueError("its number of images is fixed")
    return model


def _as_part(content: bytes, output: str) -> Any:
    """Return the user's own file with NORMALISED as input and float32 MAPS as output."""
    onnx = import_onnx()
    model = onnx.load_model_from_string(content)
    weights = {tensor.name for tensor in model.graph.initializer}
    (given,) = (entry for entry in model.graph.input if entry.name not in weights)
    model = onnx.compose.add_prefix(model, "encoder/")
    cast = onnx.helper.make_node("Cast", [f"encoder/{output}"], [MAPS], to=onnx.TensorProto.FLOAT)
    renamed = onnx.helper.make_node("Identity", [NORMALISED], [f"encoder/{given.name}"])
    model.graph.node.insert(0, renamed)
    model.graph.node.append(cast)
    for entry in model.graph.input:
        if entry.name == f"encoder/{given.name}":
            entry.name = NORMALISED
    model.graph.output[0].name = MAPS
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return model


def _joined(parts: list[Any]) -> Any:
    """Return one model of parts, each of which takes what the one before gives; all with the newest of their opsets."""
    onnx = import_onnx()
    opset = max(map(opset_of, parts))
    whole, *others = (_converted(part, opset) for part in parts)
    for number, part in enumerate(others, start=1):
        taken = whole.graph.output[0].name
        prefixed = onnx.compose.add_prefix(part, f"part{number}/", rename_inputs=False, rename_outputs=False)
        whole = onnx.compose.merge_models(whole, prefixed, io_map=[(taken, taken)])
    domains = {entry.domain: entry.version for entry in whole.opset_import}
    del whole.opset_import[:]
    whole.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in domains.items())
    return whole


def _converted(model: Any, opset: int) -> Any:
    """Return a model with the operators of a version that is not older."""
    if opset_of(model) < opset:
        model = import_onnx().version_converter.convert_version(model, opset)
    model.ir_version = IR_VERSION
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for node in model.graph.node:  # where in the code of this machine an operator comes from
        del node.metadata_props[:]
        node.ClearField("doc_string")
    return model


def opset_of(model: Any) -> int:
    """Return the version of ONNX's operators that a model uses."""
    version: int = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    return version


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the exporter say nothing of itself and of packages that it does not find."""
    logger, level = logging.getLogger("torch.onnx"), logging.getLogger("torch.onnx").level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _exporting(detector: Detector) -> Iterator[None]:
    """Raise ModelError for any error of the exporter, which have no common class."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        cause: BaseException
        kind, cause = detector.encoder.model.settings.kind, error
        while cause.__cause__ is not None:  # the exporter lays its advice around what happened
            cause = cause.__cause__
        raise ModelError(
            f"{detector.bundle.folder}: its encoder, of kind {kind}, or its network cannot be written as ONNX "
            f"({reason(cause)}). Wanted operators that PyTorch's exporter knows: choose another encoder."
        ) from error
