"""Show that label-mixup samples between classes: the teachers' posterior over the share of a class, and pictures.

Run `python -m benchmarks.claims.label_mixup` after `dvc repro denoiser@label_mixup teacher`. For every pair of classes
the denoiser is asked for shares from 0 to 1, from the same noise along a line. Prints a table and writes two figures
into docs/images/.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipeline.latents.latents import Latents, load_id_train
from pipeline.latents.standardising import to_scaled
from pipeline.networks.encoders.encoder import load_encoder
from pipeline.networks.saved_network import load_network, predict
from pipeline.outliers.method import Parents
from pipeline.outliers.methods.label_mixup import LabelMixup
from pipeline.outliers.quality import MeasuredRows
from pipeline.outliers.quality_figures import draw_posteriors
from pipeline.params.all_params import AllParams, load_all
from pipeline.report.grid import PictureRow, decoded, draw_grid
from pipeline.runtime.command import PARAMS_FILE
from pipeline.runtime.device import STAGE_THREADS, chosen_device, prepare_torch

LATENTS, MODELS, IMAGES = Path("data/latents/id_train"), Path("models"), Path("docs/images")
SHARES = np.linspace(0, 1, 12)
PER_PAIR = 16
LINES = 6


def main() -> None:
    """Sample, print the table and draw."""
    prepare_torch(STAGE_THREADS)
    params, id_train = load_all(PARAMS_FILE), load_id_train(LATENTS)
    method = LabelMixup(
        Parents(id_train, chosen_device()), params.synthesize.label_mixup, MODELS / "denoiser/label_mixup"
    )
    pairs = list(combinations(range(len(id_train.class_names)), 2))
    made = [sampled(method, pairs, share) for share in SHARES]
    rows = asked(params, id_train, pairs, torch.cat(made))
    show(rows)
    draw_posteriors(IMAGES / "label-mixup-posteriors.png", {"label_mixup": rows})
    draw_lines(id_train, pairs, made)


def sampled(method: LabelMixup, pairs: list[tuple[int, int]], share: float) -> torch.Tensor:
    """Return PER_PAIR rows of every pair with this share of the first class, from the same noise whatever the share."""
    shape = method.parents.values.shape[1:]
    noise = torch.randn((len(pairs) * PER_PAIR, *shape), generator=torch.Generator().manual_seed(0))
    weights = torch.zeros(len(noise), len(method.parents.members))
    for number, (first, second) in enumerate(pairs):
        mine = slice(number * PER_PAIR, (number + 1) * PER_PAIR)
        weights[mine, first], weights[mine, second] = share, 1 - share
    return method.sample(weights, noise).cpu()


def asked(params: AllParams, id_train: Latents, pairs: list[tuple[int, int]], values: torch.Tensor) -> MeasuredRows:
    """Return the rows with what the teachers of all seeds say of them."""
    posteriors = []
    for seed in params.seeds:
        folder = MODELS / "teacher" / str(seed)
        network = load_network(folder, id_train.header.space, id_train.class_names).network
        posteriors.append(predict(network, values)[0].double().softmax(1).numpy())
    classes = np.tile(np.repeat(np.array(pairs), PER_PAIR, axis=0), (len(SHARES), 1))
    return MeasuredRows(values.flatten(1), classes, np.repeat(SHARES, len(pairs) * PER_PAIR), np.stack(posteriors))


def show(rows: MeasuredRows) -> None:
    """Print what the teachers say at each share."""
    table = Table(title=f"{len(rows.values)} rows, posterior in percent, mean over rows and teachers")
    for name in ("share of a", "class a", "class b", "all others", "highest", "surer than 90 %"):
        table.add_column(name, justify="right")
    for share in SHARES:
        mine = rows.share == share
        posterior, classes = rows.posteriors[:, mine], rows.classes[mine]
        first, second = (at(posterior, classes[:, place]).mean() for place in (0, 1))
        top = posterior.max(2)
        values = (first, second, 1 - first - second, top.mean(), (top > 0.9).mean())
        table.add_row(f"{share:.2f}", *(f"{100 * value:.1f}" for value in values))
    Console(width=100).print(table)


def at(posterior: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the posterior (seeds, n, k) of each row's label (n,), (seeds, n)."""
    return posterior[:, np.arange(len(labels)), labels]


def draw_lines(id_train: Latents, pairs: list[tuple[int, int]], made: list[torch.Tensor]) -> None:
    """Draw some pairs, one per line, from the second class to the first, decoded."""
    encoder = load_encoder(MODELS / "encoder").encoder
    lines: list[PictureRow] = []
    for number in np.linspace(0, len(pairs) - 1, LINES).astype(int):
        rows = torch.stack([values[number * PER_PAIR] for values in made])
        first, second = (id_train.class_names[label] for label in pairs[number])
        images = decoded(to_scaled(rows, id_train.header.standardisation), encoder)
        titles = [f"{share:.0%}" for share in SHARES] if not lines else []
        lines.append(PictureRow(f"'{second}' to '{first}'", images, titles))
    draw_grid(IMAGES / "label-mixup.png", lines, "label_mixup: share of the last class, the same noise along a line")


if __name__ == "__main__":
    main()
