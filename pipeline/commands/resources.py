"""The least memory and disk that parameters need, so that what can never run is refused before anything runs."""

import shutil
from collections.abc import Iterator
from math import prod
from pathlib import Path

from pipeline.params.all_params import AllParams
from pipeline.params.encoder import SupervisedParams, TrainedParams
from pipeline.params.networks import NetworkParams
from pipeline.runtime.errors import ParamsError
from pipeline.runtime.shortage import as_size, machine_memory
from pipeline.store.format import BLOCK_ROWS, LATENT_DTYPE

FLOAT = 4
TRAINED = 3 * FLOAT
"""Bytes of a weight in training: itself, its gradient and at least one moment of the optimiser."""
COLUMN_BYTES = 16
"""Bytes of a row in memory beside its latent, at least."""


def require_resources(path: Path, params: AllParams) -> None:
    """Raise ParamsError, which lists every parameter that needs more memory or disk than this machine has."""
    memory, disk = machine_memory(), shutil.disk_usage(path.absolute().parent).total
    problems = [
        f"{key} needs {as_size(size)}, there are {as_size(limit)} of {what}: lower it"
        for what, limit, needs in (("memory", memory, _memory(params)), ("disk", disk, _disk(params)))
        for key, size in needs
        if size > limit
    ]
    if problems:
        raise ParamsError(path, problems)


def _memory(params: AllParams) -> Iterator[tuple[str, int]]:
    """Yield parameters, each with the fewest bytes of memory that it takes."""
    synthesize, train, picture = params.synthesize, params.train, 3 * FLOAT * params.data.image_size**2
    latent = FLOAT * _latent_values(params)
    yield "data.image_size", picture
    yield "encode.batch_size", params.encode.batch_size * picture
    for name, source in params.data.sources.items():
        if isinstance(images := getattr(source, "images", None), int) and source.kind in ("noise", "photographs"):
            yield f"data.sources.{name}.images", images * getattr(source, "pixels", 1) ** 2
    for name, method in synthesize.enabled.items():
        yield f"synthesize.{name}.rows", method.rows * COLUMN_BYTES
        if isinstance(candidates := getattr(method, "candidates", None), int):
            yield f"synthesize.{name}.candidates", BLOCK_ROWS * candidates * (latent if name == "perturb" else FLOAT)
    if any(method.needs_denoiser for method in synthesize.enabled.values()):
        yield "denoiser.channels", TRAINED * sum(9 * width**2 for width in params.denoiser.channels)
    match chosen := params.encoder.chosen:
        case TrainedParams():
            yield "encoder.trained.channels", TRAINED * sum(9 * width**2 for width in chosen.channels)
        case SupervisedParams():
            yield "encoder.supervised.widths", TRAINED * sum(2 * 9 * width**2 for width in chosen.widths)
    yield "teacher.network", TRAINED * _weights(params.teacher.network)
    if train.uses_outliers:
        yield "train.outlier_batch_size", train.outlier_batch_size * latent
    micl = train.micl
    yield from (
        (f"train.{key}.hidden", TRAINED * params.teacher.network.width * hidden)
        for key, weight, hidden in (
            ("reconstruction", train.reconstruction.weight, train.reconstruction.hidden),
            ("micl.club", micl.club.weight, micl.club.hidden),
            ("micl.paper", micl.paper.weight, micl.paper.hidden),
        )
        if weight
    )


def _disk(params: AllParams) -> Iterator[tuple[str, int]]:
    """Yield parameters, each with the fewest bytes of disk that it takes."""
    for name, method in params.synthesize.enabled.items():
        yield f"synthesize.{name}.rows", method.rows * _latent_values(params) * LATENT_DTYPE.itemsize


def _latent_values(params: AllParams) -> int:
    """Return the number of values of a latent; of a pretrained encoder it is not known yet, so it counts as one."""
    encoder, side = params.encoder, params.data.image_size // 8
    match chosen := encoder.chosen:
        case TrainedParams():
            channels = chosen.latent_channels
        case SupervisedParams():
            channels = chosen.widths[2]
        case _:
            return 1
    return max(1, prod(encoder.reduced(channels, side)))


def _weights(network: NetworkParams) -> int:
    """Return the number of weights in the blocks of a network: two convolutions of 3 x 3 each."""
    stages = enumerate(network.blocks)
    return sum(blocks * 2 * 9 * (network.width * 2**stage) ** 2 for stage, blocks in stages)
