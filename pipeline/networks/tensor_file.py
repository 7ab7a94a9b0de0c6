"""Tensors in files, which may come from strangers: exactly those that a network has, and all finite."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load as tensors_of
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from pipeline.runtime.files import open_regular, write_bytes
from pipeline.runtime.shortage import require_memory


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of any device and memory layout to a safetensors file."""
    write_bytes(file, tensor_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}))


def read_tensors(file: Path, *, inside: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file in the folder `inside`.

    Raises OSError unless it is a regular file, OutOfMemoryError if it is too large, and SafetensorError.
    """
    with open_regular(file, inside=inside) as stream:
        require_memory(file, stream.seek(0, 2))
        stream.seek(0)
        tensors: dict[str, Tensor] = tensors_of(stream.read())
    return tensors


def require_tensors(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless both have the same names, types and shapes; `wanted` may have no memory."""
    for name in sorted(found.keys() | wanted.keys()):
        described, promised = _described(found.get(name)), _described(wanted.get(name))
        if described != promised:
            raise ValueError(f"{name[:100]!r} is {described}, wanted {promised}")


def require_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError when a value is NaN or infinite: no comparison with NaN is true."""
    for name, tensor in tensors.items():
        if broken := int((~tensor.isfinite()).sum()):
            raise ValueError(f"{broken:,} of {tensor.numel():,} values of {name[:100]!r} are not finite, wanted all")


def _described(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
