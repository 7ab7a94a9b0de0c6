"""Any network in an ONNX file, run by onnxruntime: pixels to one of its outputs."""

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from pipeline.networks.encoders.model import EncoderModel, ModelSettings
from pipeline.networks.encoders.onnx_file import import_onnx, needed_for, require_harmless
from pipeline.networks.encoders.vision_backbone import Colours, per_colour
from pipeline.runtime.errors import ModelError, reason
from pipeline.runtime.files import open_regular, write_bytes
from pipeline.schema.section import Name, Positive

FILE = "model.onnx"
LARGEST_FILE = 2**31 - 1
"""An ONNX file is a protocol buffer, and these end at 2 GiB."""


class OnnxSettings(ModelSettings):
    """Which output is the latent, and how the pixels are normalised."""

    kind: Literal["onnx"] = "onnx"
    output: Name
    mean: Colours
    """Of each colour in 0..1, subtracted first."""
    std: tuple[Positive, Positive, Positive]
    """Of each colour in 0..1, divided by."""


class OnnxNetwork(EncoderModel):
    """One output of an ONNX network, (n, c, h, w), or (n, c) as a map of one place.

    content: the file. It holds all of its weights: a file that names others is refused.
    """

    settings: OnnxSettings

    def __init__(self, content: bytes, source: str, settings: OnnxSettings) -> None:
        self.content, self.settings = content, settings
        self._mean, self._std = per_colour(settings.mean), per_colour(settings.std)
        require_harmless(content, source)
        self._session = session_of(needed_for(settings.output, content, source), source)
        self._input = _only_input(self._session, source)

    @classmethod
    def read(cls, file: Path, settings: OnnxSettings) -> Self:
        """Read a file of the user's."""
        try:
            with open_regular(file, inside=file.resolve().parent) as stream:
                if (size := stream.seek(0, 2)) > LARGEST_FILE:
                    raise ModelError(f"{file}: found {size:,} bytes, wanted an ONNX file below 2 GiB.")
                stream.seek(0)
                content = stream.read()
        except OSError as error:
            raise ModelError(f"{file}: no ONNX file could be read ({reason(error)}).") from error
        return cls(content, str(file), settings)

    @classmethod
    def load(cls, folder: Path, settings: OnnxSettings) -> Self:
        """Read the saved file."""
        return cls.read(folder / FILE, settings)

    def to(self, device: torch.device) -> Self:  # noqa: ARG002  # the interface of all encoders
        """Stay on the CPU, where onnxruntime computes; latents come back from there."""
        return self

    def save(self, folder: Path) -> None:
        """Write the file as it was."""
        write_bytes(folder / FILE, self.content)

    def encode(self, images: Tensor) -> Tensor:
        """Return the output; raises RuntimeError where the network cannot compute it."""
        pixels = np.ascontiguousarray(self.normalised(images.cpu()).numpy())
        try:
            (values,) = self._session.run([self.settings.output], {self._input: pixels})
        except Exception as error:  # onnxruntime has no common class of its errors
            raise RuntimeError(reason(error)) from error
        latents = torch.from_numpy(np.asarray(values, np.float32))
        return latents[:, :, None, None] if latents.ndim == 2 else latents

    def normalised(self, images: Tensor) -> Tensor:
        """Return the input of the network for images in -1..1."""
        return ((images + 1) / 2 - self._mean) / self._std


def session_of(content: bytes, source: str, *, spins: bool = True) -> Any:
    """Return a session that computes on the CPU with PyTorch's number of threads; raises ModelError.

    spins: whether threads wait for more work for a while, which slows PyTorch down where the two take turns.
    """
    onnxruntime = import_onnx("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    options.log_severity_level = 4  # problems become errors here, not lines on the terminal
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class of its errors
        raise ModelError(
            f"{source}: onnxruntime cannot load this network ({reason(error)}). Export it again, with operators of "
            f"ONNX alone."
        ) from error


def _only_input(session: Any, source: str) -> str:
    """Return the name of the input, which has to be one of float32 images."""
    inputs = session.get_inputs()
    described = ", ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in inputs)
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
        raise ModelError(f"{source}: found the inputs {described}, wanted one of float32 images (n, 3, h, w).")
    return str(inputs[0].name)
