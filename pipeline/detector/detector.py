"""The detector: load a bundle, then predict for images which class they show and whether they are outliers."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from itertools import chain, islice, starmap
from math import isfinite
from pathlib import Path
from typing import NamedTuple, Self, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.detector.bundle import Bundle, copy_bundle, read_bundle
from pipeline.detector.hub import fetch_bundle, push_bundle
from pipeline.detector.images import ImageInput, image_pixels, is_single_image
from pipeline.detector.left_out import encoder_folder
from pipeline.detector.refit import KnownImages, write_refit
from pipeline.images.image_set import from_8_bits
from pipeline.latents.standardising import to_standardised
from pipeline.networks.encoders.encoder import Encoder, load_encoder
from pipeline.networks.resnet import LatentResNet
from pipeline.posthoc.decision import fitted_threshold
from pipeline.posthoc.score import NetworkOutputs, network_outputs, scoring_device
from pipeline.runtime.device import chosen_device, usable_device
from pipeline.runtime.errors import BundleError, reason
from pipeline.runtime.progress import progress
from pipeline.store.format import LatentSpace

NOT_FINITE = "its score is not finite, so it counts as an outlier; the detector fails on such images"
BATCH_SIZE = 64
"""Images per forward pass: enough to keep a processor busy; it changes no prediction, up to rounding."""


@dataclass(frozen=True)
class ImagePrediction:
    """The prediction of a detector for one image."""

    label: str
    """The most probable ID class, also for outliers."""
    probability: float
    """Softmax probability of that class."""
    outlier_score: float
    """Larger = more outlier."""
    is_outlier: bool
    """Whether the score is above the threshold, so that the image probably shows none of the classes."""
    error: str | None = None
    """Why there is no finite score: None for a whole prediction. Otherwise the image counts as an outlier."""


class BatchPredictions(NamedTuple):
    """The predictions for a batch of images, one list per field of `ImagePrediction`."""

    labels: list[str]
    probabilities: list[float]
    outlier_scores: list[float]
    are_outliers: list[bool]
    errors: list[str | None]


class Detector:
    """An image classifier that also detects outliers: images that show none of its classes.

    Create it with `load` or `from_pretrained`. A prediction depends on the image and the bundle. Batch and device
    change it only by float32 rounding; an image whose score is that close to the threshold may fall on either side.
    """

    def __init__(self, bundle: Bundle, device: torch.device, *, fetch_encoder: bool = False) -> None:
        self.bundle, self.device = bundle, device
        card = bundle.card
        self.class_names, self.threshold = card.network.class_names, card.decision.threshold
        self.image_size = card.network.space.image_size
        with _loading(bundle.folder):
            self.network = card.network.load(bundle.network)
            _require_one_score(bundle, self.network)
        with encoder_folder(bundle, fetch=fetch_encoder) as encoder, _loading(bundle.folder):
            self.encoder = _fitting_encoder(encoder, card.network.space).to(device)
        self.network.to(device)
        self.scorer = bundle.scorer.to(scoring_device(device))

    @classmethod
    def load(cls, folder: str | Path, *, device: str | torch.device | None = None, fetch_encoder: bool = False) -> Self:
        """Load a bundle from its folder; no other file is read, and nothing is fetched unless `fetch_encoder` is true.

        device: by default LATENT_OUTLIERS_DEVICE if set, else a GPU if there is one, else the CPU.
        fetch_encoder: if the bundle leaves the weights of its encoder out, take them from the hub's cache, or fetch
        them from the hub without a token.
        Raises BundleError if a file is missing, damaged or of another format, and DeviceError.
        """
        target = chosen_device() if device is None else usable_device("device", str(device))
        return cls(read_bundle(Path(folder)), target, fetch_encoder=fetch_encoder)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        token: str | None = None,
        device: str | torch.device | None = None,
        fetch_encoder: bool = False,
    ) -> Self:
        """Load a bundle from its folder or, if there is no such folder, from the Hugging Face hub by its id.

        revision: branch, tag or commit on the hub. fetch_encoder: see `load`. Raises BundleError and DeviceError.
        """
        folder = Path(source) if Path(source).is_dir() else fetch_bundle(str(source), revision, token)
        return cls.load(folder, device=device, fetch_encoder=fetch_encoder)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the bundle to a new or empty folder, completely or not at all; raises BundleError."""
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
        """Upload the bundle to the Hugging Face hub in one commit, and return the commit's address.

        private: whether a new repository is private; None means the account's default. Raises BundleError.
        """
        return push_bundle(self.bundle, repo_id, private=private, revision=revision, token=token, message=message)

    def rejecting(self, share: float) -> Self:
        """Return this detector with the threshold that rejects at most a share of known images, 0 <= share < 1.

        Of the images that its threshold was fitted to, whose scores the bundle has: ID validation images, or those of a
        refit. Raises ValueError for another share.
        """
        if not 0 <= share < 1:
            raise ValueError(f"the share of known images to reject is {share}, wanted 0 <= share < 1")
        return self.with_threshold(fitted_threshold(self.bundle.id_scores, share))

    def with_threshold(self, threshold: float) -> Self:
        """Return this detector with another threshold; it shares the networks. Raises ValueError for one not finite."""
        if not isfinite(threshold):
            raise ValueError(f"the threshold is {threshold}, wanted a finite number")
        other = copy(self)
        other.threshold = threshold
        return other

    def refit(
        self,
        images: Iterable[ImageInput],
        folder: str | Path,
        *,
        rejected: float | None = None,
        keep: bool = False,
    ) -> Self:
        """Write a bundle whose threshold is fitted to new images of the classes, and return its detector.

        folder: a new or empty one; appears only when complete. rejected: the largest share of the images that is
        rejected; None takes that of the bundle. keep: add every second image to those that a score such as k-NN
        compares with, and fit the threshold to the others. Networks, class means and covariances stay as they are.

        Raises PipelineError for too few images, or where the score compares with no images. Raises ImageFileError for a
        file that is no image, and BundleError when the folder is taken.
        """
        write_refit(self.bundle, self._known(list(images)), Path(folder), rejected=rejected, keep=keep)
        return type(self).load(folder, device=self.device, fetch_encoder=True)

    @overload
    def predict(self, images: ImageInput) -> ImagePrediction: ...  # type: ignore[overload-overlap]  # a str is one
    @overload
    def predict(self, images: Iterable[ImageInput]) -> list[ImagePrediction]: ...
    def predict(self, images: ImageInput | Iterable[ImageInput]) -> ImagePrediction | list[ImagePrediction]:
        """Return the prediction for a single image, or a list of predictions for an iterable of images.

        Raises ImageFileError when a file is no image.
        """
        if is_single_image(images):
            return next(self.stream([images]))
        return list(self.stream(cast("Iterable[ImageInput]", images)))

    @overload
    def score(self, images: ImageInput) -> float: ...  # type: ignore[overload-overlap]  # as above
    @overload
    def score(self, images: Iterable[ImageInput]) -> NDArray[np.float64]: ...
    def score(self, images: ImageInput | Iterable[ImageInput]) -> float | NDArray[np.float64]:
        """Return the outlier score of a single image, or an array (n,) for an iterable; larger = more outlier.

        Raises ImageFileError when a file is no image.
        """
        if is_single_image(images):
            return self.predict(images).outlier_score
        predictions = self.stream(cast("Iterable[ImageInput]", images))
        return np.array([prediction.outlier_score for prediction in predictions])

    def stream(self, images: Iterable[ImageInput], batch_size: int = BATCH_SIZE) -> Iterator[ImagePrediction]:
        """Yield the prediction for each image, in order, with at most one batch of images in memory.

        Raises ImageFileError when a file is no image.
        """
        pixels = (image_pixels(image, self.image_size) for image in images)
        fields = (zip(*self.predict_pixels(np.stack(batch)), strict=True) for batch in _batches(pixels, batch_size))
        return starmap(ImagePrediction, chain.from_iterable(fields))

    def predict_pixels(
        self,
        images: NDArray[np.uint8],  # (n, s, s, 3) RGB, s: the bundle's image size, n >= 1
    ) -> BatchPredictions:
        """Return the predictions for one batch of images; may be called from several threads at once."""
        outputs = self.outputs(images)
        most_probable = outputs.logits.softmax(1).max(1)
        (scores,) = self.scorer(outputs).values()
        finite = scores.isfinite() & most_probable.values.cpu().isfinite()
        scores = torch.where(finite, scores, torch.inf)  # above every threshold, where a comparison with NaN is false
        return BatchPredictions(
            [self.class_names[index] for index in most_probable.indices.tolist()],
            most_probable.values.tolist(),
            scores.tolist(),
            (scores > self.threshold).tolist(),
            [None if is_finite else NOT_FINITE for is_finite in finite.tolist()],
        )

    def _known(self, images: Sequence[ImageInput]) -> KnownImages:
        """Return what a refit needs of images."""
        classes, features = len(self.class_names), self.network.features
        parts = [NetworkOutputs(torch.zeros(0, classes).double(), torch.zeros(0, features).double())]
        contents = hashlib.sha256()
        with progress("fitting to images", len(images)) as advance:
            for batch in _batches((image_pixels(image, self.image_size) for image in images), BATCH_SIZE):
                pixels = np.stack(batch)
                contents.update(pixels.tobytes())
                parts.append(self.outputs(pixels).to(torch.device("cpu")))
                advance(len(batch))
        return KnownImages(NetworkOutputs(*map(torch.cat, zip(*parts, strict=True))), contents.hexdigest())

    def outputs(
        self,
        images: NDArray[np.uint8],  # (n, s, s, 3) as above
    ) -> NetworkOutputs:
        """Return the logits and features of one batch of images."""
        pixels = torch.from_numpy(from_8_bits(images)).permute(0, 3, 1, 2)
        scaled = self.encoder.encode(pixels.to(self.device)).cpu().half().float()  # as stores have them
        return network_outputs(self.network, to_standardised(scaled, self.bundle.card.network.standardisation))


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Raise BundleError for any error in the block: the files may say anything, and libraries raise anything then."""
    try:
        yield
    except Exception as error:
        raise BundleError(folder, reason(error), "networks that can be loaded") from error


def _fitting_encoder(folder: Path, space: LatentSpace) -> Encoder:
    """Return the encoder of a bundle; raises ValueError unless it makes latents of this space."""
    saved = load_encoder(folder)
    found = saved.encoder.scaling_factor, saved.card.image_size, saved.card.shape
    if found != (wanted := (space.scaling_factor, space.image_size, space.shape)):
        raise ValueError(f"its encoder has scaling factor, image size and shape {found}, wanted {wanted}")
    return saved.encoder


def _require_one_score(bundle: Bundle, network: LatentResNet) -> None:
    """Raise ValueError, or whatever PyTorch raises, unless a latent gets a score: shapes of a scorer are its own."""
    outputs = network_outputs(network, torch.zeros(1, *bundle.card.network.space.shape))
    (scores,) = bundle.scorer(outputs).values()
    if scores.shape != (1,):
        raise ValueError(f"its score of one latent has the shape {tuple(scores.shape)}")


def _batches(images: Iterable[NDArray[np.uint8]], size: int) -> Iterator[list[NDArray[np.uint8]]]:
    """Yield lists of at most `size` images, in order."""
    remaining = iter(images)
    while batch := list(islice(remaining, size)):
        yield batch
