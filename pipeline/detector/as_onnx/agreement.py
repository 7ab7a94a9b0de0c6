"""Compare what a graph says of pictures with what its detector says of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.detector.as_onnx.resizing import PIXELS
from pipeline.detector.detector import Detector
from pipeline.networks.encoders.onnx_network import session_of
from pipeline.runtime.errors import ModelError, reason

Picture = NDArray[np.uint8]
DRAWN_SIDES = ((32, 32), (96, 64), (48, 120), (200, 150))
"""Height and width of the pictures that are drawn."""
DRAWN = "drawn pictures"
MOST_APART = 0.01
"""Largest difference of scores between a graph with whole weights and its detector, as a share of 1 + |score|. Rounding
a latent to another float16 has a thousandth of the effect on most detectors."""


@dataclass
class Agreement:
    """How a graph's answers differ from those of its detector."""

    subject: str
    """What the pictures are, such as images."""
    images: int = 0
    other_labels: int = 0
    other_decisions: int = 0
    differences: list[float] = field(default_factory=list)
    """Of outlier scores, by image."""
    largest_share: float = 0.0
    """Largest difference of outlier scores, as a share of 1 + |score|."""

    def sentence(self) -> str:
        """Say it in words."""
        decided, named = self._all_but(self.other_decisions), self._all_but(self.other_labels)
        words = f"decides as the bundle on {decided}"
        words += f" and names the same class on {named}" if named != decided else ", with the same class"
        median, largest = self._quantiles()
        return f"{words}; scores differ by {median:.2g} (median), {largest:.2g} at most"

    def as_json(self) -> dict[str, Any]:
        """Return counts, and median and largest difference of scores."""
        counts = {name: getattr(self, name) for name in ("subject", "images", "other_labels", "other_decisions")}
        median, largest = self._quantiles()
        return counts | {"median_difference": median, "largest_difference": largest, "sentence": self.sentence()}

    def _quantiles(self) -> tuple[float, float]:
        """Return median and largest difference of scores."""
        if not self.differences:
            return 0.0, 0.0
        return float(np.median(self.differences)), max(self.differences)

    def _all_but(self, others: int) -> str:
        return f"all {f'but {others:,} of ' if others else ''}{self.images:,} {self.subject}"


def agreement(detector: Detector, content: bytes, pictures: Iterable[Picture], subject: str = DRAWN) -> Agreement:
    """Return how the graph in `content` differs from a detector on pictures (h, w, 3), one after the other.

    Raises ModelError when onnxruntime cannot run the graph.
    """
    found, session = Agreement(subject), session_of(content, "the graph", spins=False)
    for picture in pictures:
        try:
            label, _, score, is_outlier = (values[0] for values in session.run(None, {PIXELS: picture[None]}))
        except Exception as error:  # onnxruntime has no common class of its errors
            raise ModelError(f"onnxruntime cannot run the graph ({reason(error)}). Choose another encoder.") from error
        wanted = detector.predict(picture)
        equal = score == wanted.outlier_score  # perhaps both are infinite
        apart = 0.0 if equal else abs(float(score) - wanted.outlier_score)
        found.images += 1
        found.other_labels += detector.class_names[label] != wanted.label
        found.other_decisions += bool(is_outlier) is not wanted.is_outlier
        found.differences.append(apart)
        found.largest_share = max(found.largest_share, apart / (1 + abs(wanted.outlier_score)))
    return found


def drawn_pictures() -> Iterator[Picture]:
    """Yield pictures of soft spots in several sizes, which any detector can judge."""
    rng = np.random.default_rng(0)
    for height, width in DRAWN_SIDES:
        spots = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
        yield np.asarray(spots.resize((width, height), Image.Resampling.BICUBIC))
