"""Prove the bounds of mutual information where the truth is known: pairs of correlated Gaussians.

Run `python -m benchmarks.claims.estimators`; it takes about four minutes on one core. x and y have d dimensions, each
pair of values correlated by rho, so I(x; y) = -d / 2 log(1 - rho^2). InfoNCE, with the loss the detector is trained
with, must stay below; CLUB must stay above, and near d rho^2 / (1 - rho^2), which is what it is with the true
conditional in the place of q: from there on it is the bound that is loose and not the fit. Encoders, q and estimates
each see fresh pairs. The term of OAL's code is no estimate of anything: its gradient is averaged over all pairings.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from benchmarks.bench import hardware
from pipeline.losses.club import (
    LOG_VARIANCE_BOUND,
    OAL_LOG_VARIANCE_BOUND,
    Club,
    GaussianPosterior,
    random_pair_club,
)
from pipeline.losses.info_nce import info_nce
from pipeline.runtime.device import UNIT_THREADS, prepare_torch, seeded
from pipeline.runtime.files import write_json
from pipeline.runtime.progress import progress
from pipeline.runtime.run_log import git_revision

FORMAT = "latent-outliers-estimators/1"
RESULT, PICTURE = Path("benchmarks/results/estimators.json"), Path("docs/images/mutual-information.png")
DIMENSIONS = 8
RHOS = tuple(step / 10 for step in range(10))
SEEDS = (0, 1, 2)
HIDDEN, ENCODED = 64, 32
TEMPERATURE = 0.02  # cosines reach 1 / 0.02 nats apart, well beyond what the largest rho asks for
OAL_PAIRS = 64
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Effort:
    """How much is spent on one estimate."""

    steps: int
    """Of Adam, for the encoders."""
    posterior_steps: int
    batch_size: int
    anchors: int
    """Pairs an InfoNCE estimate is the mean of."""
    negatives: int
    """Per anchor; the estimate cannot exceed log(1 + negatives)."""
    pairs: int
    """Pairs a CLUB estimate is the mean of."""


FULL = Effort(steps=1500, posterior_steps=3000, batch_size=512, anchors=4000, negatives=16_384, pairs=100_000)


class Spread(NamedTuple):
    """Mean and standard deviation over seeds, in nats."""

    mean: float
    std: float


class Row(NamedTuple):
    """What was found at one correlation, in nats."""

    rho: float
    truth: float
    info_nce: Spread
    club: Spread
    club_limit: float


def main() -> None:
    """Estimate, print the table, write the figures and the picture."""
    prepare_torch(UNIT_THREADS)
    with progress("estimating", len(RHOS) * len(SEEDS)) as advance:
        rows = []
        for rho in RHOS:
            lower, upper = [], []
            for seed in SEEDS:
                lower.append(info_nce_estimate(rho, seed, FULL))
                upper.append(club_estimate(rho, seed, FULL))
                advance(1)
            rows.append(Row(rho, mutual_information(rho), spread(lower), spread(upper), club_limit(rho)))
    oal = oal_gradients(OAL_PAIRS)
    write_json(RESULT, report(rows, oal))
    draw(rows, PICTURE)
    show(rows, oal)


def mutual_information(rho: float) -> float:
    """Return the truth in nats."""
    return DIMENSIONS / 2 * math.log(1 / (1 - rho**2))


def club_limit(rho: float) -> float:
    """Return CLUB in nats with the true conditional N(rho x, 1 - rho^2) as q.

    Half of the expected squared distance of y to rho x under its variance, 1 + rho^2 for independent pairs and
    1 - rho^2 for true ones, per dimension.
    """
    return DIMENSIONS * rho**2 / (1 - rho**2)


def fresh_pairs(rho: float, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return x and y, both (count, d)."""
    x, noise = torch.randn(2, count, DIMENSIONS, generator=generator)
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def info_nce_estimate(rho: float, seed: int, effort: Effort) -> float:
    """Return log(1 + m) - loss in nats, of encoders trained for it: a lower bound in expectation."""
    with seeded(seed, CPU) as generator:
        f, g = encoder(), encoder()
        train(f, g, rho, effort, generator)
        x, y = fresh_pairs(rho, effort.anchors, generator)
        _, others = fresh_pairs(rho, effort.negatives, generator)
        with torch.no_grad():
            anchors, partners, outliers = f(x), g(y), g(others)
            losses = [pair_loss(*pair, outliers) for pair in zip(anchors, partners, strict=True)]
    return math.log(1 + effort.negatives) - float(torch.stack(losses).double().mean())


def encoder() -> nn.Module:
    """Return a small network from x or y to features."""
    return nn.Sequential(nn.Linear(DIMENSIONS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, ENCODED))


def train(f: nn.Module, g: nn.Module, rho: float, effort: Effort, generator: torch.Generator) -> None:
    """Train both encoders on fresh pairs in every step."""
    optimiser = torch.optim.Adam([*f.parameters(), *g.parameters()], 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, effort.steps)
    for _ in range(effort.steps):
        x, y = fresh_pairs(rho, effort.batch_size, generator)
        optimiser.zero_grad()
        batch_losses(f(x), g(y)).mean().backward()
        optimiser.step()
        schedule.step()


def pair_loss(
    anchor: Tensor,  # (d,)
    partner: Tensor,  # (d,)
    outliers: Tensor,  # (m, d)
) -> Tensor:  # () nats
    """Return the detector's InfoNCE of one anchor with one positive and the outliers as its only negatives."""
    pair, labels = torch.stack([anchor, partner]), torch.zeros(2, dtype=torch.long)
    return info_nce(pair, labels, outliers, temperature=TEMPERATURE)[0]


def batch_losses(
    anchors: Tensor,  # (n, d)
    partners: Tensor,  # (n, d)
) -> Tensor:  # (n,) nats
    """Return `pair_loss` of every anchor with its own partner, the partners of the others being the negatives."""
    alike = normalize(anchors, dim=1) @ normalize(partners, dim=1).T / TEMPERATURE
    return cross_entropy(alike, torch.arange(len(anchors)), reduction="none")


def club_estimate(rho: float, seed: int, effort: Effort) -> float:
    """Return CLUB in nats, of a q fitted by likelihood."""
    with seeded(seed, CPU) as generator:
        posterior = GaussianPosterior(DIMENSIONS, DIMENSIONS, hidden=HIDDEN, bound=LOG_VARIANCE_BOUND)
        estimator = Club(posterior, learning_rate=3e-3, steps=1)
        for _ in range(effort.posterior_steps):
            estimator.fit(*fresh_pairs(rho, effort.batch_size, generator))
        with torch.no_grad():
            return float(estimator(*fresh_pairs(rho, effort.pairs, generator)).double().mean())


def oal_gradients(pairs: int) -> dict[str, float]:
    """Return the norm of the gradient of OAL's term on the features: of one pairing, and averaged over all pairings.

    The cyclic pairings hold every pair once, as all pairings together hold every pair equally often.
    """
    with seeded(0, CPU) as generator:
        posterior = GaussianPosterior(DIMENSIONS, DIMENSIONS, hidden=HIDDEN, bound=OAL_LOG_VARIANCE_BOUND).double()
        known, outliers = torch.randn(2, pairs, DIMENSIONS, generator=generator, dtype=torch.float64)
    inputs = known.requires_grad_(), outliers.requires_grad_()
    gradients = []
    for shift in range(pairs):
        value = random_pair_club(known.roll(shift, 0), outliers, posterior).mean()
        gradients.append(torch.cat(torch.autograd.grad(value, inputs)))
    one = float(torch.stack([gradient.norm() for gradient in gradients]).mean())
    average = float(torch.stack(gradients).mean(0).norm())
    return {"one_pairing": one, "mean_over_pairings": average, "relative": average / one}


def spread(values: Sequence[float]) -> Spread:
    """Return mean and standard deviation."""
    found = torch.tensor(values, dtype=torch.float64)
    return Spread(round(float(found.mean()), 4), round(float(found.std()), 4))


def report(rows: Sequence[Row], oal: dict[str, float]) -> dict[str, object]:
    """Return what is written: figures, and what they were made with."""
    found = [row._asdict() | {"info_nce": row.info_nce._asdict(), "club": row.club._asdict()} for row in rows]
    return {
        "format": FORMAT,
        "hardware": hardware(),
        "commit": git_revision(),
        "dimensions": DIMENSIONS,
        "seeds": SEEDS,
        "largest_info_nce": round(math.log(1 + FULL.negatives), 4),
        "nats": found,
        "oal_gradient": oal,
    }


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the lower bound and the upper bound beside the truth."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    lower, upper = figure.subplots(1, 2)
    _draw_bound(lower, rows, [row.info_nce for row in rows], "InfoNCE")
    _draw_bound(upper, rows, [row.club for row in rows], "CLUB, q fitted")
    upper.plot([row.rho for row in rows], [row.club_limit for row in rows], ":", color="gray", label="CLUB, true q")
    upper.set_yscale("symlog", linthresh=1)
    upper.set_yticks([0, 0.5, 1, 3, 10, 30], ["0", "0.5", "1", "3", "10", "30"])
    lower.set(title="lower bound", ylabel="mutual information in nats")
    upper.set(title="upper bound", ylabel="in nats, logarithmic above 1")
    for axes in (lower, upper):
        axes.set_xlabel("correlation")
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _draw_bound(axes: Axes, rows: Sequence[Row], found: Sequence[Spread], name: str) -> None:
    rhos, means = [row.rho for row in rows], [one.mean for one in found]
    axes.plot(rhos, [row.truth for row in rows], color="black", label="truth")
    axes.errorbar(rhos, means, [one.std for one in found], fmt="o", markersize=4, capsize=3, label=name)


def show(rows: Sequence[Row], oal: dict[str, float]) -> None:
    """Print what was found."""
    most = math.log(1 + FULL.negatives)
    table = Table(title=f"nats, mean ± std over {len(SEEDS)} seeds; InfoNCE is at most {most:.2f}")
    for name in ("rho", "truth", "InfoNCE", "truth - InfoNCE", "CLUB", "CLUB - truth", "CLUB with the true q"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            f"{row.rho:.1f}",
            f"{row.truth:.3f}",
            f"{row.info_nce.mean:.3f} ± {row.info_nce.std:.3f}",
            f"{row.truth - row.info_nce.mean:.3f}",
            f"{row.club.mean:.3f} ± {row.club.std:.3f}",
            f"{row.club.mean - row.truth:.3f}",
            f"{row.club_limit:.3f}",
        )
    console = Console(width=110)
    console.print(table)
    console.print(
        f"OAL's term: gradient of one pairing {oal['one_pairing']:.2e}, averaged over all pairings "
        f"{oal['mean_over_pairings']:.2e}, a share of {oal['relative']:.0e}"
    )


if __name__ == "__main__":
    main()
