"""The format of a bundle on disk, with its writer and its reader; nothing in a bundle is pickled.

bundle.json           describes the detector: network, score, threshold, classes; digest and tensors of each file
network.safetensors   the weights, byte for byte as trained
scorer.safetensors    the tensors that the score learnt from ID training images, and its values for ID validation images
encoder/              a copy of models/encoder, and no other file; perhaps without weights, see left_out.py
README.md             the model card for human readers; it may be edited and is not checked
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from pipeline.detector.bundle_card import (
    BUNDLE,
    BUNDLE_FORMAT,
    ENCODER,
    ID_SCORES,
    LARGEST_HEADER,
    MODEL_CARD,
    NETWORK,
    SCORER,
    BundleCard,
    LeftOutWeights,
    TensorEntry,
    TensorFile,
    card_bytes,
    read_card,
    tensor_entries,
)
from pipeline.networks.saved_network import NetworkCard
from pipeline.networks.tensor_file import require_finite
from pipeline.posthoc.decision import Decision
from pipeline.posthoc.fitted import FittedScores, score_class
from pipeline.runtime.errors import BundleError, reason
from pipeline.runtime.files import (
    digest,
    file_digest,
    folder_files,
    open_regular,
    whole_or_absent,
    write_bytes,
)
from pipeline.runtime.shortage import require_memory


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and checked."""

    folder: Path
    card: BundleCard
    network: dict[str, Tensor]
    scorer: FittedScores
    id_scores: NDArray[np.float64]
    """The scores (v,) that the threshold was fitted to, ascending: of the ID validation images, unless refitted."""


@dataclass(frozen=True)
class BundleParts:
    """The parts that a bundle is written from."""

    encoder: Path
    weights: bytes
    """The safetensors file of the trained network."""
    network: NetworkCard
    decision: Decision
    scorer: FittedScores
    id_scores: NDArray[np.float64]
    """The scores (v,) that the threshold was fitted to."""
    id_train: str
    left_out: LeftOutWeights | None
    """The weights of the encoder that are not copied; None: all are."""


def write_bundle(folder: Path, parts: BundleParts, model_card: str) -> None:
    """Write every file of a bundle, `bundle.json` last.

    Raises BundleError when the decision was made for other weights, or when a tensor is not finite.
    """
    if digest(parts.weights) != parts.decision.weights:
        advice = "Run `dvc repro` so that the threshold belongs to this detector."
        found, wanted = f"weights {digest(parts.weights)[:12]}", f"{parts.decision.weights[:12]}, as in the decision"
        raise BundleError(folder, found, wanted, advice)
    _require_finite(folder / NETWORK, tensors_of(parts.weights))
    _require_finite(folder / SCORER, parts.scorer.tensors)
    scorer = scorer_bytes(parts.scorer, parts.id_scores)
    for file in folder_files(parts.encoder):
        name = f"{ENCODER}/{file.relative_to(parts.encoder).as_posix()}"
        if parts.left_out is None or name != parts.left_out.file:
            write_bytes(folder / name, file.read_bytes())
    write_bytes(folder / NETWORK, parts.weights)
    write_bytes(folder / SCORER, scorer)
    write_bytes(folder / MODEL_CARD, model_card.encode())
    card = BundleCard(
        format=BUNDLE_FORMAT,
        network=parts.network,
        decision=parts.decision,
        infer=parts.scorer.params,
        id_train=parts.id_train,
        files=_digests(folder),
        tensors={
            NETWORK: tensor_entries(tensors_of(parts.weights)),
            SCORER: tensor_entries(tensors_of(scorer)),
        },
        left_out=parts.left_out,
    )
    _require_same_encoder(folder, card)
    write_bytes(folder / BUNDLE, card_bytes(card))


def scorer_bytes(scorer: FittedScores, id_scores: NDArray[np.float64]) -> bytes:
    """Return the file of what a score has learnt, and of the scores that the threshold was fitted to."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in scorer.tensors.items()}
    return tensor_bytes(tensors | {ID_SCORES: torch.from_numpy(np.sort(id_scores))})


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every byte; raises BundleError if it is incomplete, damaged or of another format.

    Other files in the folder are never read. In the encoder's folder they are refused.
    """
    card = read_card(folder / BUNDLE)
    for name, wanted in card.files.items():
        if name not in (NETWORK, SCORER):
            _require_digest(folder / name, _digest_of(folder, name), wanted)
    _require_same_encoder(folder, card)
    _require_no_other_files(folder, card)
    network, scorer = _read_tensors(folder, card, NETWORK), _read_tensors(folder, card, SCORER)
    score = card.decision.score
    names = {*score_class(score).learns, ID_SCORES}
    if set(scorer) != names or any(tensor.dtype != torch.float64 for tensor in scorer.values()):
        raise BundleError(folder / SCORER, f"tensors {sorted(scorer)}", f"{sorted(names)} as float64 for {score!r}")
    id_scores = scorer.pop(ID_SCORES).numpy()
    if id_scores.ndim != 1 or not len(id_scores) or (np.diff(id_scores) < 0).any():
        raise BundleError(folder / SCORER, f"{ID_SCORES} {id_scores.shape}", "scores of ID images, ascending")
    try:
        return Bundle(folder, card, network, FittedScores((score,), scorer, card.infer), id_scores)
    except (ValueError, IndexError, RuntimeError) as error:  # a scorer prepares its tensors, whatever their shapes
        raise BundleError(folder / SCORER, reason(error), f"tensors for {score!r}") from error


def copy_bundle(bundle: Bundle, folder: Path, replaced: Mapping[str, bytes] | None = None) -> None:
    """Copy a bundle and check it again; `folder` appears only when complete.

    replaced: the content of files that are other than in the bundle, by their path in it.

    Raises BundleError when `folder` exists and is not empty, even if another process has just made it, or cannot be
    written. Raises BundleError too when the bundle has changed since it was read.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        advice = "Name another folder, or delete it."
        raise BundleError(folder, "something there", "a new folder, or an empty one", advice)
    try:
        with whole_or_absent(folder) as partial:
            for name in bundle_files(bundle):
                write_bytes(partial / name, read_file(bundle, name))
            for name, content in (replaced or {}).items():
                write_bytes(partial / name, content)
            if read_bundle(partial).card != bundle.card and not replaced:
                raise BundleError(bundle.folder, "another bundle than was loaded", "the same one", "Load it again.")
    except OSError as error:
        advice = "Name another folder, or make this one writable."
        raise BundleError(folder, reason(error), f"a copy of {bundle.folder}", advice) from error


def read_file(bundle: Bundle, name: str) -> bytes:
    """Return the content of a bundle's file, by its path in the bundle; raises OSError."""
    with open_regular(bundle.folder / name, inside=bundle.folder) as stream:
        return stream.read()


def bundle_files(bundle: Bundle) -> list[str]:
    """Return the files that belong to a bundle, by their path in it.

    The model card may be missing. A link in its place that leads out of the folder counts as missing: whoever copies or
    uploads the bundle would publish a file of their own.
    """
    try:
        open_regular(bundle.folder / MODEL_CARD, inside=bundle.folder).close()
    except OSError:
        return [*bundle.card.files, BUNDLE]
    return [*bundle.card.files, MODEL_CARD, BUNDLE]


def _read_tensors(folder: Path, card: BundleCard, name: TensorFile) -> dict[str, Tensor]:
    """Read the tensors of a file, and check its digest and every tensor against bundle.json."""
    file, wanted_entries = folder / name, card.tensors.get(name, {})
    try:
        content = _read_promised(folder, name, sum(entry.size for entry in wanted_entries.values()))
        _require_digest(file, digest(content), card.files.get(name, "none in bundle.json"))
        tensors: dict[str, Tensor] = tensors_of(content)
        entries = tensor_entries(tensors)
    except (OSError, ValidationError) as error:
        raise _unreadable(file, error) from error
    except SafetensorError as error:
        raise BundleError(file, f"no safetensors ({error})", "those of the bundle") from error
    for tensor in sorted(entries.keys() | wanted_entries.keys()):
        if (found := entries.get(tensor)) != (wanted := wanted_entries.get(tensor)):
            raise BundleError(file, f"{tensor!r} as {_described(found)}", f"{_described(wanted)}, as in {BUNDLE}")
    _require_finite(file, tensors)
    return tensors


def _read_promised(folder: Path, name: str, size: int) -> bytes:
    """Return a file whose tensors have `size` bytes; raises BundleError for a longer one, before it is read."""
    with open_regular(folder / name, inside=folder) as stream:
        if (found := stream.seek(0, 2)) > size + LARGEST_HEADER:
            raise BundleError(folder / name, f"{found:,} bytes", f"tensors of {size:,} bytes, as in {BUNDLE}")
        require_memory(folder / name, size)
        stream.seek(0)
        return stream.read()


def _require_finite(file: Path, tensors: Mapping[str, Tensor]) -> None:
    try:
        require_finite(tensors)
    except ValueError as error:
        advice = "Its training or fitting failed; train again with a lower learning_rate."
        raise BundleError(file, str(error), "finite values", advice) from error


def _digests(folder: Path) -> dict[str, str]:
    names = {file.relative_to(folder).as_posix() for file in folder_files(folder)} - {BUNDLE, MODEL_CARD}
    return {name: file_digest(folder / name) for name in sorted(names)}


def _require_no_other_files(folder: Path, card: BundleCard) -> None:
    """Refuse unlisted files in the encoder's folder, as its library may read them instead of the listed files."""
    names = {file.relative_to(folder).as_posix() for file in (folder / ENCODER).rglob("*") if not file.is_dir()}
    if others := sorted(names - card.files.keys()):
        advice = "Delete it in the original bundle, then copy, push or fetch the bundle again."
        raise BundleError(folder / others[0], f"a file that {BUNDLE} does not list", "none there", advice)


def _require_same_encoder(folder: Path, card: BundleCard) -> None:
    """Compare the digest of the whole encoder, computed like `folder_digest`, with that in the network's card."""
    digests = card.encoder_digests
    names = sorted(map(PurePosixPath, digests))
    lines = [f"{name.relative_to(ENCODER)} {digests[str(name)]}" for name in names]
    found, wanted = digest("\n".join(lines).encode()), card.network.space.encoder
    if found != wanted:
        advice = "Run `dvc repro`, so that network and encoder belong together."
        raise BundleError(folder / ENCODER, f"digest {found[:12]}", f"{wanted[:12]}, as the network", advice)


def _described(entry: TensorEntry | None) -> str:
    return "nothing" if entry is None else f"{entry.dtype} {list(entry.shape)}"


def _digest_of(folder: Path, name: str) -> str:
    try:
        with open_regular(folder / name, inside=folder) as stream:
            require_memory(folder / name, stream.seek(0, 2))
            stream.seek(0)
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # typing's BinaryIO
    except OSError as error:
        raise _unreadable(folder / name, error) from error


def _require_digest(file: Path, found: str, wanted: str) -> None:
    if found != wanted:
        raise BundleError(file, f"SHA-256 {found[:12]}", wanted[:12])


def _unreadable(file: Path, error: OSError | ValidationError) -> BundleError:
    return BundleError(file, getattr(error, "strerror", None) or reason(error), "a file of the bundle")
