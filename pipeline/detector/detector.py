"""The detector in use: load a bundle, and ask of images which class they show and whether they show one at all."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, starmap
from pathlib import Path
from typing import NamedTuple, Self, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.autoencoder.model import Autoencoder
from pipeline.detector.bundle import AUTOENCODER, Bundle, copy_bundle, read_bundle
from pipeline.detector.hub import fetch_bundle, push_bundle
from pipeline.detector.images import OneImage, image_pixels, is_one_image
from pipeline.device import chosen_device, usable_device
from pipeline.errors import BundleError, ModelError
from pipeline.images.image_set import from_8_bits
from pipeline.infer.fitted import outputs, scoring_device
from pipeline.latents import to_standardised
from pipeline.store.writer import as_latents

BATCH_SIZE = 64
"""Images per forward pass: enough to fill a processor, and no part of any answer."""


@dataclass(frozen=True)
class ImagePrediction:
    """What a detector says of one image."""

    label: str
    """The most probable of the classes it knows, also when the image shows none of them."""
    probability: float
    """Softmax probability of that class."""
    outlier_score: float
    """Larger = more outlier."""
    is_outlier: bool
    """Whether the score is above the threshold: the image shows none of the classes."""


class Answers(NamedTuple):
    """The same of the images of a batch, a list per field of `ImagePrediction`."""

    labels: list[str]
    probabilities: list[float]
    outlier_scores: list[float]
    are_outliers: list[bool]


class Detector:
    """An image classifier that knows what it does not know.

    `load` or `from_pretrained` make one. An answer depends on the image and the bundle, not on the batch or the
    device, up to the rounding of float32; an image whose score is that near to the threshold may fall on either side.
    """

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        self.bundle, self.device = bundle, device
        card = bundle.card
        self.class_names, self.threshold = card.network.class_names, card.decision.threshold
        self.image_size = card.network.space.image_size
        self.network = card.network.build()
        try:
            self.network.load_state_dict(bundle.network)
            self.autoencoder = Autoencoder.load(str(bundle.folder / AUTOENCODER)).to(device)
        except (RuntimeError, ModelError) as error:
            raise BundleError(bundle.folder, " ".join(str(error).split()), "networks that can be loaded") from error
        self.network.eval().requires_grad_(requires_grad=False).to(device)
        self.scorer = bundle.scorer.to(scoring_device(device))

    @classmethod
    def load(cls, folder: str | Path, *, device: str | torch.device | None = None) -> Self:
        """Load a bundle from its folder; nothing else is read, and nothing fetched.

        device: by default that of LATENT_OUTLIERS_DEVICE, else a GPU where there is one, else the CPU.
        Raises BundleError unless every file is whole and of the known format, and DeviceError.
        """
        where = chosen_device() if device is None else usable_device("device", str(device))
        return cls(read_bundle(Path(folder)), where)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        device: str | torch.device | None = None,
    ) -> Self:
        """Load a bundle from its folder or, when there is no such folder, from the Hugging Face hub by its id.

        revision: branch, tag or commit on the hub. Raises BundleError and DeviceError.
        """
        folder = Path(source) if Path(source).is_dir() else fetch_bundle(str(source), revision, token)
        return cls.load(folder, device=device)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the bundle to a new folder, which appears when all is in it; raises BundleError."""
        copy_bundle(self.bundle, Path(folder))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        token: str | None = None,
        message: str = "Upload a detector",
    ) -> str:
        """Upload the bundle to the Hugging Face hub in one commit, and return its address; raises BundleError.

        private: of a repository that is new; None: as the account has it.
        """
        return push_bundle(self.bundle, repo_id, private=private, revision=revision, token=token, message=message)

    @overload
    def predict(self, images: OneImage) -> ImagePrediction: ...  # type: ignore[overload-overlap]  # a str is one
    @overload
    def predict(self, images: Iterable[OneImage]) -> list[ImagePrediction]: ...
    def predict(self, images: OneImage | Iterable[OneImage]) -> ImagePrediction | list[ImagePrediction]:
        """Return the answer for one image, or a list of them for several.

        Raises ImageFileError when a file is no image.
        """
        if is_one_image(images):
            return next(self.stream([images]))
        return list(self.stream(cast("Iterable[OneImage]", images)))

    @overload
    def score(self, images: OneImage) -> float: ...  # type: ignore[overload-overlap]  # idem
    @overload
    def score(self, images: Iterable[OneImage]) -> NDArray[np.float64]: ...
    def score(self, images: OneImage | Iterable[OneImage]) -> float | NDArray[np.float64]:
        """Return the outlier score of one image, or (n,) of several; larger = more outlier.

        Raises ImageFileError when a file is no image.
        """
        if is_one_image(images):
            return self.predict(images).outlier_score
        several = cast("Iterable[OneImage]", images)
        return np.array([answer.outlier_score for answer in self.stream(several)])

    def stream(self, images: Iterable[OneImage], batch_size: int = BATCH_SIZE) -> Iterator[ImagePrediction]:
        """Yield the answer for each image, in order; no more than a batch of them is in memory.

        Raises ImageFileError when a file is no image.
        """
        read = (image_pixels(image, self.image_size) for image in images)
        answers = (zip(*self.judge(np.stack(batch)), strict=True) for batch in _batches(read, batch_size))
        return starmap(ImagePrediction, chain.from_iterable(answers))

    def judge(
        self,
        images: NDArray[np.uint8],  # (n, s, s, 3) of RGB, s the bundle's image size, n at least 1
    ) -> Answers:
        """Return the answers for one batch of images; several threads may ask at once."""
        pixels = torch.from_numpy(from_8_bits(images)).permute(0, 3, 1, 2)
        encoded = self.autoencoder.encode(pixels.to(self.device)).cpu().numpy()
        scaled = torch.from_numpy(as_latents(encoded, "latents of images").astype(np.float32))
        of = outputs(self.network, to_standardised(scaled, self.bundle.card.network.standardisation))
        best = of.logits.softmax(1).max(1)
        (scores,) = self.scorer(of).values()
        labels = [self.class_names[index] for index in best.indices.tolist()]
        return Answers(labels, best.values.tolist(), scores.tolist(), (scores > self.threshold).tolist())


def _batches(images: Iterable[NDArray[np.uint8]], size: int) -> Iterator[list[NDArray[np.uint8]]]:
    rest = iter(images)
    while batch := list(islice(rest, size)):
        yield batch
