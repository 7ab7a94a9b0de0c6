"""What an outlier costs in floating-point operations: made in latent space, decoded, or sampled as a picture.

Run `python -m benchmarks.flops`; it takes seconds, as operations are counted on tensors without data. Sampling is that
of DreamOOD (https://arxiv.org/abs/2309.13415): Stable Diffusion 1.4 at 512 px, 50 steps with and without the prompt,
then decoding. Decoding is that of one latent of 4 x 32 x 32 by the same autoencoder. Mixup and perturb are counted by
hand, at 50,000 ID latents in 100 classes: a mixed value takes three operations, the distance of a candidate to a latent
of its class three per value.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cases.encode import STABLE_DIFFUSION
from benchmarks.cases.synthesis import CLASSES, ID_ROWS, PERTURB
from pipeline.networks.denoiser import untrained
from pipeline.params.denoiser import DenoiserParams
from pipeline.params.synthesize import SynthesizeParams
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.files import write_json
from pipeline.runtime.run_log import git_revision
from pipeline.schema.reader import ParamsFile
from pipeline.store.format import LatentSpace

FORMAT = "latent-outliers-flops/1"
RESULT = Path("benchmarks/results/flops.json")
STEPS, WITH_AND_WITHOUT_PROMPT = 50, 2
TEXT = (77, 768)
VALUES = 4 * 32 * 32


def main() -> None:
    """Count, print and write."""
    decoded = decoding(32)
    sampled = STEPS * WITH_AND_WITHOUT_PROMPT * text_to_image_step(64) + decoding(64)
    costs = {
        "mixup": 3 * VALUES,
        "perturb": 3 * PERTURB.candidates * (ID_ROWS // CLASSES) * VALUES,
        "label_mixup": label_mixup(),
        "decoding one 256 px image": decoded,
        "sampling one 512 px image": sampled,
    }
    write_json(RESULT, {"format": FORMAT, "commit": git_revision(), "flop_per_outlier": costs})
    table = Table("per outlier", "GFLOP", "of sampling a picture, 1 /")
    for name, cost in costs.items():
        table.add_row(name, f"{cost / 1e9:,.6f}", f"{sampled / cost:,.0f}")
    Console(width=100).print(table)


def counted(work: Callable[[], object]) -> int:
    """Return the operations of matrix products and convolutions in `work`."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        work()
    total: int = counter.get_total_flops()
    return total


def decoding(side: int) -> int:
    """Return what Stable Diffusion's decoder takes for one latent of 4 x side x side."""
    from diffusers import AutoencoderKL

    with torch.device("meta"):
        module: Any = AutoencoderKL(**STABLE_DIFFUSION)
        return counted(lambda: module.decode(torch.empty(1, 4, side, side)))


def text_to_image_step(side: int) -> int:
    """Return what the UNet of Stable Diffusion 1.4 takes for one latent of 4 x side x side."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        module: Any = UNet2DConditionModel(sample_size=side, cross_attention_dim=TEXT[1])
        latent, text = torch.empty(1, 4, side, side), torch.empty(1, *TEXT)
        return counted(lambda: module(latent, torch.ones(1), text))


def label_mixup() -> int:
    """Return what the default denoiser takes for one latent of 4 x 32 x 32, in all its steps."""
    file = ParamsFile(PARAMS_FILE)
    params = file.section("synthesize", SynthesizeParams).label_mixup
    space = LatentSpace(encoder="counted", scaling_factor=1.0, image_size=256, shape=(4, 32, 32))
    with torch.device("meta"):
        denoiser = untrained(space, CLASSES, file.section("denoiser", DenoiserParams))
        rows = torch.empty(1, *space.shape), torch.ones(1), denoiser.classes.weight[:1]
        return params.steps * (1 if params.guidance == 1 else 2) * counted(lambda: denoiser(*rows))


if __name__ == "__main__":
    main()
