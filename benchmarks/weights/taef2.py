"""Write TAEF2's encoder, the small autoencoder for the latents of FLUX.2, as an ONNX file.

Run `python -m benchmarks.weights.taef2 WEIGHTS FILE`. WEIGHTS is the folder with `encoder.safetensors`, whose keys are
those of `taef2_encoder.pth` in github.com/madebyollin/taesd (MIT). Then name FILE in `encoder.onnx`, output `latents`,
mean 0 and std 1. Images are RGB in 0..1 with sides that 8 divides. Latents have 32 channels, an eighth of the side, and
no scaling factor. The file is compared with PyTorch before it is kept.
"""

import sys
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = "encoder.safetensors"
WIDTH, LATENT_CHANNELS = 64, 32
GROUPS, POOLED = 4, 4 * WIDTH
"""Groups of the normalisation in a pooled block, and channels there."""
INPUT, OUTPUT = "pixels", "latents"
OPSET = 17
TOLERANCE = 1e-4
"""Largest difference between a latent of onnxruntime and of PyTorch; latents are about 1."""
SIZES = ((2, 64, 64), (1, 48, 80))
"""Images per batch, height and width of the comparison."""


class Block(nn.Module):
    """Three 3 x 3 convolutions beside a shortcut; where `pooled`, statistics of the whole map are added first."""

    def __init__(self, *, pooled: bool = False) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(3)]
        self.conv = nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU(), convolutions[2])
        self.pool = nn.Sequential(
            nn.Conv2d(WIDTH, POOLED, 1, bias=False),
            nn.GroupNorm(GROUPS, POOLED),
            nn.ReLU(),
            nn.Conv2d(POOLED, WIDTH, 1, bias=False),
        ) if pooled else None  # fmt: skip

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape, (n, 64, h, w)."""
        if self.pool is not None:
            maps = maps + self.pool(maps)
        return torch.relu(maps + self.conv(maps))


def encoder() -> nn.Sequential:
    """Return the network: images (n, 3, h, w) in 0..1 to latents (n, 32, h / 8, w / 8). A key starts with its index."""

    def halving() -> nn.Conv2d:
        return nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1, bias=False)

    return nn.Sequential(
        nn.Conv2d(3, WIDTH, 3, padding=1),
        Block(),
        *(halving(), Block(), Block(), Block()),
        *(halving(), Block(), Block(), Block()),
        *(halving(), Block(pooled=True), Block(pooled=True), Block(pooled=True)),
        nn.Conv2d(WIDTH, LATENT_CHANNELS, 3, padding=1),
    ).eval()


def pretrained_encoder(folder: Path) -> nn.Sequential:
    """Return the network with the published weights, in float32."""
    network = encoder()
    network.load_state_dict({name: value.float() for name, value in load_file(folder / WEIGHTS).items()})
    return network.requires_grad_(requires_grad=False)


def write_onnx(network: nn.Module, file: Path) -> None:
    """Write the network as ONNX for images of any size; raises ValueError, and keeps no file, where values differ."""
    axes = {INPUT: {0: "n", 2: "h", 3: "w"}, OUTPUT: {0: "n", 2: "h8", 3: "w8"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without onnxscript is called legacy
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, 64, 64),),
            str(file),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    if (difference := largest_difference(network, file)) > TOLERANCE:
        file.unlink()
        raise ValueError(f"{file}: latents differ from PyTorch's by {difference:.1e}, wanted at most {TOLERANCE:.0e}")


@torch.no_grad()
def largest_difference(network: nn.Module, file: Path) -> float:
    """Return how far latents of the file and of the network are apart, on random images of several sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    generator, largest = torch.Generator().manual_seed(0), 0.0
    for count, height, width in SIZES:
        images = torch.rand(count, 3, height, width, generator=generator)
        (found,) = session.run([OUTPUT], {INPUT: images.numpy()})
        largest = max(largest, float((torch.from_numpy(found) - network(images)).abs().max()))
    return largest


if __name__ == "__main__":
    write_onnx(pretrained_encoder(Path(sys.argv[1])), Path(sys.argv[2]))
