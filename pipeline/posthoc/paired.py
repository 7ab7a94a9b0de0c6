"""Compare two outlier scores of the same images: better, worse or undecided, with an interval."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.posthoc.bootstrap import Difference, Gain, Pair, bootstrap, differences

REPLICATES = 1000


class Scores(NamedTuple):
    """Outlier scores of ID test and of OOD images, larger = more outlier: (n,), or (seeds, n) of several runs."""

    id_images: ArrayLike
    ood_images: ArrayLike


def compare(baseline: Scores, other: Scores, *, replicates: int = REPLICATES, seed: int = 0) -> dict[Gain, Difference]:
    """Return AUROC and both FPR95 of `other` less those of `baseline`, each with a 95 % interval and a verdict.

    The images are the same on both sides, in the same order, and so are their draws (paired bootstrap). With several
    rows, one per run with another seed, the interval covers the noise of training too. A single row is judged by the
    images alone: the verdict is about these two scores, say of one network, and not about what another training gives.

    Raises ValueError for scores of other shapes on the two sides, or that are not finite.
    """
    id_images, ood_images = (_pair(*sides) for sides in zip(baseline, other, strict=True))
    if len(id_images.baseline) != len(ood_images.baseline):
        found = f"{len(id_images.baseline)} runs of ID images and {len(ood_images.baseline)} of OOD images"
        raise ValueError(f"found {found}, wanted as many")
    gains = bootstrap({"score": id_images}, {"ood": {"score": ood_images}}, replicates, seed)
    found_gains = differences(list(gains.values()))
    if len(id_images.baseline) > 1:
        return found_gains
    return {name: _of_images_alone(gain, name) for name, gain in found_gains.items()}


def _pair(baseline: ArrayLike, other: ArrayLike) -> Pair:
    """Return both sides as (seeds, n) in float64."""
    sides: list[NDArray[np.float64]] = [np.atleast_2d(np.asarray(side, np.float64)) for side in (baseline, other)]
    if sides[0].shape != sides[1].shape or sides[0].ndim != 2 or not sides[0].size:
        shapes = " and ".join(str(side.shape) for side in sides)
        raise ValueError(f"found scores {shapes}, wanted those of the same images, (n,) or (seeds, n)")
    if not all(np.isfinite(side).all() for side in sides):
        raise ValueError("found scores that are not finite, wanted finite ones")
    return Pair(*sides)


def _of_images_alone(gain: Difference, name: Gain) -> Difference:
    """Return the difference of a single run with the verdict that its interval gives."""
    low, high = (gain.low, gain.high) if name == "auroc" else (-gain.high, -gain.low)
    return gain._replace(verdict="better" if low > 0 else "worse" if high < 0 else "undecided")
