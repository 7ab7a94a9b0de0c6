"""The format of a bundle on disk, with its writer and its reader; nothing in a bundle is pickled.

bundle.json           describes the detector: network, score, threshold, classes; digest and tensors of each file
network.safetensors   the weights, byte for byte as trained
scorer.safetensors    the tensors that the score learnt from the ID training images
encoder/              a copy of models/encoder, and no other file
README.md             the model card for human readers; it may be edited and is not checked
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as tensor_bytes
from torch import Tensor

from pipeline.networks.saved_network import NetworkCard
from pipeline.params.infer import InferParams
from pipeline.posthoc.decision import Decision
from pipeline.posthoc.fitted import FittedScores, score_class
from pipeline.runtime.errors import BundleError, reason
from pipeline.runtime.files import (
    digest,
    file_digest,
    folder_files,
    json_bytes,
    whole_or_absent,
    write_bytes,
)

TensorFile = Literal["network.safetensors", "scorer.safetensors"]
NETWORK: TensorFile = "network.safetensors"
SCORER: TensorFile = "scorer.safetensors"
BUNDLE = "bundle.json"
ENCODER, MODEL_CARD = "encoder", "README.md"
BUNDLE_FORMAT = "latent-outliers-bundle/2"


class TensorEntry(BaseModel):
    """The expected type and shape of one tensor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str
    shape: tuple[int, ...]


def _checked_name(name: str) -> str:
    """Return the name of a bundle's file; raises ValueError for any other, so that no file outside is ever read."""
    path = PurePosixPath(name)
    if name not in (NETWORK, SCORER) and (path.parts[:1] != (ENCODER,) or ".." in path.parts):
        raise ValueError(f"{name!r} is no file of a bundle")
    return name


class BundleCard(BaseModel):
    """The content of bundle.json: all that determines the detector's decisions, and digests of its sources."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["latent-outliers-bundle/2"]
    network: NetworkCard
    decision: Decision
    infer: InferParams
    id_train: str
    """Digest of the store of ID training latents to which the score was fitted."""
    files: dict[Annotated[str, AfterValidator(_checked_name)], str]
    """SHA-256 of every file except bundle.json and the model card, by its path in the bundle."""
    tensors: dict[TensorFile, dict[str, TensorEntry]]


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and checked."""

    folder: Path
    card: BundleCard
    network: dict[str, Tensor]
    scorer: FittedScores


@dataclass(frozen=True)
class BundleParts:
    """The parts that a bundle is written from."""

    encoder: Path
    weights: bytes
    """The safetensors file of the trained network."""
    network: NetworkCard
    decision: Decision
    scorer: FittedScores
    id_train: str


def write_bundle(folder: Path, parts: BundleParts, model_card: str) -> None:
    """Write every file of a bundle, `bundle.json` last.

    Raises BundleError when the decision was made for other weights.
    """
    if digest(parts.weights) != parts.decision.weights:
        advice = "Run `dvc repro` so that the threshold belongs to this detector."
        found, wanted = f"weights {digest(parts.weights)[:12]}", f"{parts.decision.weights[:12]}, as in the decision"
        raise BundleError(folder, found, wanted, advice)
    scorer = tensor_bytes({name: tensor.contiguous() for name, tensor in parts.scorer.tensors.items()})
    for file in folder_files(parts.encoder):
        write_bytes(folder / ENCODER / file.relative_to(parts.encoder), file.read_bytes())
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
        tensors={NETWORK: _entries(tensors_of(parts.weights)), SCORER: _entries(tensors_of(scorer))},
    )
    _require_same_encoder(folder, card)
    write_bytes(folder / BUNDLE, _with_digest(card.model_dump(mode="json")))


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every byte; raises BundleError if it is incomplete, damaged or of another format.

    Other files in the folder are never read. In the encoder's folder they are refused.
    """
    card = _read_card(folder / BUNDLE)
    for name, wanted in card.files.items():
        if name not in (NETWORK, SCORER):
            _require_digest(folder / name, _digest_of(folder / name), wanted)
    _require_same_encoder(folder, card)
    _require_no_other_files(folder, card)
    network, scorer = _read_tensors(folder, card, NETWORK), _read_tensors(folder, card, SCORER)
    score = card.decision.score
    learns = score_class(score).learns
    if set(scorer) != set(learns):
        raise BundleError(folder / SCORER, f"tensors {sorted(scorer)}", f"{sorted(learns)} for score {score!r}")
    return Bundle(folder, card, network, FittedScores((score,), scorer, card.infer))


def copy_bundle(bundle: Bundle, folder: Path) -> None:
    """Copy a bundle and check it again; `folder` appears only when complete.

    Raises BundleError when `folder` exists and is not empty, even if another process has just made it, or cannot be
    written. Raises BundleError too when the bundle has changed since it was read.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        advice = "Name another folder, or delete it."
        raise BundleError(folder, "something there", "a new folder, or an empty one", advice)
    try:
        with whole_or_absent(folder) as partial:
            for name in bundle_files(bundle):
                write_bytes(partial / name, (bundle.folder / name).read_bytes())
            if read_bundle(partial).card != bundle.card:
                raise BundleError(bundle.folder, "another bundle than was loaded", "the same one", "Load it again.")
    except OSError as error:
        advice = "Name another folder, or make this one writable."
        raise BundleError(folder, reason(error), f"a copy of {bundle.folder}", advice) from error


def bundle_files(bundle: Bundle) -> list[str]:
    """Return the files that belong to a bundle, by their path in it; the model card may be missing."""
    optional = [MODEL_CARD] if (bundle.folder / MODEL_CARD).is_file() else []
    return [*bundle.card.files, *optional, BUNDLE]


def _with_digest(content: dict[str, Any]) -> bytes:
    """Return the bytes of bundle.json with their own digest, so that a single changed digit is noticed."""
    return json_bytes(content | {"digest": digest(json_bytes(content))})


def _read_card(file: Path) -> BundleCard:
    if not file.is_file():
        advice = "Name the folder of a bundle, such as models/bundle/0; `dvc repro bundle` makes it."
        raise BundleError(file.parent, f"no {BUNDLE}", "a bundle", advice)
    try:
        data = file.read_bytes()
        content = json.loads(data)
        if not isinstance(content, dict):
            raise BundleError(file, f"a JSON {type(content).__name__}", "an object")
        if (found := content.get("format")) != BUNDLE_FORMAT:
            raise BundleError(file, f"format {found!r}", repr(BUNDLE_FORMAT))
        content.pop("digest", None)
        if data != _with_digest(content):
            raise BundleError(file, "content that is not what its digest says", "the bytes that were written")
        return BundleCard.model_validate_json(json_bytes(content))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise BundleError(file, f"{key}: {problem['msg']}", f"what {BUNDLE_FORMAT} has") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(file, f"no readable JSON ({reason(error)})", "a whole file") from error


def _read_tensors(folder: Path, card: BundleCard, name: TensorFile) -> dict[str, Tensor]:
    """Read the tensors of a file, and check its digest and every tensor against bundle.json."""
    file = folder / name
    try:
        content = file.read_bytes()
        _require_digest(file, digest(content), card.files.get(name, "none in bundle.json"))
        tensors: dict[str, Tensor] = tensors_of(content)
    except OSError as error:
        raise _unreadable(file, error) from error
    except SafetensorError as error:
        raise BundleError(file, f"no safetensors ({error})", "those of the bundle") from error
    entries, wanted_entries = _entries(tensors), card.tensors.get(name, {})
    for tensor in sorted(entries.keys() | wanted_entries.keys()):
        if (found := entries.get(tensor)) != (wanted := wanted_entries.get(tensor)):
            raise BundleError(file, f"{tensor!r} as {_described(found)}", f"{_described(wanted)}, as in {BUNDLE}")
    return tensors


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
    """Compare the digest of the copied encoder, computed like `folder_digest`, with that in the network's card."""
    names = sorted(PurePosixPath(name) for name in card.files if name not in (NETWORK, SCORER))
    lines = [f"{name.relative_to(ENCODER)} {card.files[str(name)]}" for name in names]
    found, wanted = digest("\n".join(lines).encode()), card.network.space.encoder
    if found != wanted:
        advice = "Run `dvc repro`, so that network and encoder belong together."
        raise BundleError(folder / ENCODER, f"digest {found[:12]}", f"{wanted[:12]}, as the network", advice)


def _entries(tensors: Mapping[str, Tensor]) -> dict[str, TensorEntry]:
    return {
        name: TensorEntry(dtype=str(tensor.dtype).removeprefix("torch."), shape=tuple(tensor.shape))
        for name, tensor in tensors.items()
    }


def _described(entry: TensorEntry | None) -> str:
    return "nothing" if entry is None else f"{entry.dtype} {list(entry.shape)}"


def _digest_of(file: Path) -> str:
    try:
        return file_digest(file)
    except OSError as error:
        raise _unreadable(file, error) from error


def _require_digest(file: Path, found: str, wanted: str) -> None:
    if found != wanted:
        raise BundleError(file, f"SHA-256 {found[:12]}", wanted[:12])


def _unreadable(file: Path, error: OSError) -> BundleError:
    return BundleError(file, error.strerror or str(error), "a file of the bundle")
