"""The card of a bundle, bundle.json: all that determines the decisions of a detector, with bounds for every number."""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from pipeline.networks.saved_network import NetworkCard
from pipeline.params.bundle import COMMIT, HUB_ID
from pipeline.params.infer import InferParams
from pipeline.posthoc.decision import Decision
from pipeline.runtime.errors import BundleError, reason
from pipeline.runtime.files import digest, json_bytes, read_description
from pipeline.runtime.manifest import FileSeal, Sha256

TensorFile = Literal["network.safetensors", "scorer.safetensors"]
NETWORK: TensorFile = "network.safetensors"
SCORER: TensorFile = "scorer.safetensors"
BUNDLE = "bundle.json"
ENCODER, MODEL_CARD = "encoder", "README.md"
BUNDLE_FORMAT = "latent-outliers-bundle/4"
ID_SCORES = "id_scores"
"""The tensor beside those of the score: the scores that the threshold was fitted to."""
ITEM_BYTES = {"float32": 4, "float64": 8, "int64": 8}
"""The types of tensors that a bundle has, and the size of a value."""
MOST_FILES, LARGEST_HEADER = 1000, 2**24
"""Bounds of a bundle: files, and bytes of a safetensors file besides its tensors."""
HUB_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}"
HUB_FILE = rf"^{HUB_NAME}\.safetensors(\.index(\.[A-Za-z0-9]{{1,20}})?\.json)?$"
"""Names in a repository of the hub: of a folder, and of safetensors or their index."""


class TensorEntry(BaseModel):
    """The expected type and shape of one tensor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: Literal["float32", "float64", "int64"]
    shape: tuple[Annotated[int, Field(ge=0, le=2**40)], ...] = Field(max_length=8)

    @property
    def size(self) -> int:
        """The size in bytes."""
        return ITEM_BYTES[self.dtype] * prod(self.shape)


def _checked_name(name: str) -> str:
    """Return the name of a bundle's file; raises ValueError for any other, so that no file outside is ever read."""
    path = PurePosixPath(name)
    if name not in (NETWORK, SCORER) and (path.parts[:1] != (ENCODER,) or ".." in path.parts):
        raise ValueError(f"{name!r} is no file of a bundle")
    return name


class LeftOutWeights(BaseModel):
    """The weights of the encoder that a bundle does not hold, and the files of the hub that they are made from.

    Its fields are the only part of a bundle that names another place. They can name safetensors and their index in a
    repository of the hub, and nothing else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Literal["encoder/model/diffusion_pytorch_model.safetensors", "encoder/model/model.safetensors"]
    """The file that is left out, by its path in the bundle."""
    sha256: Sha256
    """Of that file."""
    repository: Annotated[str, Field(pattern=HUB_ID)]
    commit: Annotated[str, Field(pattern=COMMIT)]
    subfolder: Annotated[str, Field(pattern=rf"^{HUB_NAME}(/{HUB_NAME}){{0,8}}$")] | None
    variant: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,20}$")] | None
    hub_files: dict[Annotated[str, Field(pattern=HUB_FILE)], FileSeal] = Field(min_length=1, max_length=MOST_FILES)
    """Size and digest of each file in the subfolder."""

    @property
    def size(self) -> int:
        """The size of the hub's files in bytes."""
        return sum(seal.bytes for seal in self.hub_files.values())


class Refit(BaseModel):
    """What a bundle was fitted to anew, after the run that made it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Sha256
    """Of the bundle.json that it was made from."""
    images: Annotated[int, Field(ge=1, le=2**40)]
    contents: Sha256
    """Of the content hashes of these images, in order."""
    kept: Annotated[int, Field(ge=0, le=2**40)]
    """Images among them whose features were added to those that the score compares with."""


class BundleCard(BaseModel):
    """The content of bundle.json: all that determines the detector's decisions, and digests of its sources."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["latent-outliers-bundle/4"]
    network: NetworkCard
    decision: Decision
    infer: InferParams
    id_train: str
    """Digest of the store of ID training latents to which the score was fitted."""
    files: dict[Annotated[str, AfterValidator(_checked_name)], str] = Field(max_length=MOST_FILES)
    """SHA-256 of every file except bundle.json and the model card, by its path in the bundle."""
    tensors: dict[TensorFile, dict[str, TensorEntry]]
    left_out: LeftOutWeights | None = None
    """None where the bundle holds the whole encoder; bundle.json has no such key then."""
    refits: tuple[Refit, ...] = Field((), max_length=MOST_FILES)
    """The last one says what the threshold was fitted to; bundle.json has no such key where there is none."""

    @property
    def encoder_digests(self) -> dict[str, str]:
        """SHA-256 of every file of the whole encoder, by its path in the bundle."""
        digests = {name: value for name, value in self.files.items() if name not in (NETWORK, SCORER)}
        return digests if self.left_out is None else digests | {self.left_out.file: self.left_out.sha256}

    @model_validator(mode="after")
    def _holds_no_file_that_is_left_out(self) -> Self:
        if self.left_out is not None and self.left_out.file in self.files:
            raise ValueError(f"{self.left_out.file} is among the files and left out")
        return self


def tensor_entries(tensors: Mapping[str, Tensor]) -> dict[str, TensorEntry]:
    """Return the type and shape of each tensor; raises ValidationError for those that no bundle has."""
    return {
        name: TensorEntry(dtype=str(tensor.dtype).removeprefix("torch."), shape=tuple(tensor.shape))
        for name, tensor in tensors.items()
    }


def card_bytes(card: BundleCard) -> bytes:
    """Return the bytes of bundle.json."""
    return sealed(
        card.model_dump(mode="json", exclude={key for key in ("left_out", "refits") if not getattr(card, key)})
    )


def sealed(content: dict[str, Any]) -> bytes:
    """Return the bytes of bundle.json with their own digest, so that a single changed digit is noticed."""
    return json_bytes(content | {"digest": digest(json_bytes(content))})


def read_card(file: Path) -> BundleCard:
    """Read and check bundle.json; raises BundleError."""
    if not file.exists():
        advice = "Name the folder of a bundle, such as models/bundle/0; `dvc repro` makes it."
        raise BundleError(file.parent, f"no {BUNDLE}", "a bundle", advice)
    try:
        data = read_description(file, inside=file.parent)
        content = json.loads(data)
        if not isinstance(content, dict):
            raise BundleError(file, f"a JSON {type(content).__name__}", "an object")
        if (found := content.get("format")) != BUNDLE_FORMAT:
            raise BundleError(file, f"format {found!r}", repr(BUNDLE_FORMAT))
        content.pop("digest", None)
        if data != sealed(content):
            raise BundleError(file, "content that is not what its digest says", "the bytes that were written")
        return BundleCard.model_validate_json(json_bytes(content))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise BundleError(file, f"{key}: {problem['msg']}", f"what {BUNDLE_FORMAT} has") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(file, f"no readable JSON ({reason(error)})", "a whole file") from error
