"""The card of a bundle, bundle.json: all that determines the decisions of a detector, with bounds for every number."""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from pipeline.networks.saved_network import NetworkCard
from pipeline.params.infer import InferParams
from pipeline.posthoc.decision import Decision
from pipeline.runtime.errors import BundleError, reason
from pipeline.runtime.files import digest, json_bytes, read_description

TensorFile = Literal["network.safetensors", "scorer.safetensors"]
NETWORK: TensorFile = "network.safetensors"
SCORER: TensorFile = "scorer.safetensors"
BUNDLE = "bundle.json"
ENCODER, MODEL_CARD = "encoder", "README.md"
BUNDLE_FORMAT = "latent-outliers-bundle/2"
ITEM_BYTES = {"float32": 4, "float64": 8, "int64": 8}
"""The types of tensors that a bundle has, and the size of a value."""
MOST_FILES, LARGEST_HEADER = 1000, 2**24
"""Bounds of a bundle: files, and bytes of a safetensors file besides its tensors."""


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


class BundleCard(BaseModel):
    """The content of bundle.json: all that determines the detector's decisions, and digests of its sources."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["latent-outliers-bundle/2"]
    network: NetworkCard
    decision: Decision
    infer: InferParams
    id_train: str
    """Digest of the store of ID training latents to which the score was fitted."""
    files: dict[Annotated[str, AfterValidator(_checked_name)], str] = Field(max_length=MOST_FILES)
    """SHA-256 of every file except bundle.json and the model card, by its path in the bundle."""
    tensors: dict[TensorFile, dict[str, TensorEntry]]


def tensor_entries(tensors: Mapping[str, Tensor]) -> dict[str, TensorEntry]:
    """Return the type and shape of each tensor; raises ValidationError for those that no bundle has."""
    return {
        name: TensorEntry(dtype=str(tensor.dtype).removeprefix("torch."), shape=tuple(tensor.shape))
        for name, tensor in tensors.items()
    }


def sealed(content: dict[str, Any]) -> bytes:
    """Return the bytes of bundle.json with their own digest, so that a single changed digit is noticed."""
    return json_bytes(content | {"digest": digest(json_bytes(content))})


def read_card(file: Path) -> BundleCard:
    """Read and check bundle.json; raises BundleError."""
    if not file.exists():
        advice = "Name the folder of a bundle, such as models/bundle/0; `dvc repro bundle` makes it."
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
