"""Choose the encoder of a new project: the one that is asked for, else the best that is at hand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from pipeline.networks.encoders.encoder import Encoder, latent_shape
from pipeline.networks.encoders.hub_commit import commit_at_hand
from pipeline.networks.encoders.pretrained import backbone_folder
from pipeline.networks.encoders.published import input_size
from pipeline.networks.encoders.vision_backbone import PARAMETER, VisionBackbone
from pipeline.params.encoder import EncoderKind, TransformersParams
from pipeline.runtime.errors import MissingExtraError, ModelError, PipelineError
from pipeline.runtime.huggingface import import_transformers
from pipeline.runtime.text.install import install_line

DEFAULT = "facebook/dinov2-small"
"""The backbone that is taken where none is named: small, and trained without labels on 142 million photographs."""
SIDE = 2
"""Places a side that are kept of a backbone's maps (docs/encoders.md): two, so that outliers can be made by moving and
mixing places. All channels are kept."""
VIEWS = 2
"""Of each ID training image. Each takes as long to encode as an image; more gain less."""
BATCH = 16
"""Images per forward pass of a backbone. On a CPU larger batches take longer per image."""
MODEL_ID = r"\w[\w.-]*(/\w[\w.-]*)?"
"""An id on the hub."""
OPTION = "--encoder"
TRAINED_HERE = {
    "supervised": "a small classifier of pixels, trained on these photographs",
    "trained": "a small autoencoder, trained on these photographs",
}
FROM_SCRATCH: dict[str, Any] = {"teacher": {"start": "scratch"}, "train": {"start": "scratch"}}
TRAININGS: dict[str, dict[str, Any]] = {
    "trained": {
        "teacher": {"network": {"width": 32, "blocks": [2, 2]}, "optimiser": {"epochs": 80, "learning_rate": 0.05}},
        "train": {"optimiser": {"epochs": 80, "learning_rate": 0.05}},
    },
    "transformers": {
        "synthesize": {"methods": ["perturb", "mixup"]},
        "teacher": {
            "network": {"width": 32, "blocks": [1], "latent_mean": True},
            "optimiser": {"epochs": 40, "learning_rate": 0.02, "weight_decay": 0.05},
        },
        "train": {
            "start": "teacher",
            "optimiser": {"epochs": 10, "learning_rate": 0.005, "weight_decay": 0.05},
            "mixing": {"weight": 0.0},
            "outlier_exposure": {"weight": 0.0},
        },
        "rival": {"kind": "regression"},
    },
}
"""What differs from the preset, whose networks continue the classifier of a `supervised` encoder. Latents of a backbone
tell classes and outliers apart as they are: a small network beside their mean changes little of that. The teacher is
trained until it is as accurate as a logistic regression, and the detector goes on from there. Predictions that are
drawn to the uniform one on outliers would change it for the worse, and most rows of `shuffle` pass for ID images there
(docs/log.md)."""


@dataclass(frozen=True)
class Backbone:
    """A vision backbone that was read, and encodes images of its own size."""

    params: TransformersParams
    model: VisionBackbone
    image_size: int  # the side in pixels of the images that it was made for
    channels: int  # of its map
    side: int  # of its map, in places

    def lines(self, reason: str, median_side: float) -> list[str]:
        """Return sentences for the summary; `reason` says why it is this backbone."""
        commit = "" if self.params.revision is None else f" at commit {self.params.revision[:12]}"
        kept_side = min(self.side, SIDE)
        kept = f"{self.channels:,} channels at {kept_side} x {kept_side} places"
        other = f"{OPTION} supervised, trained or FOLDER_OR_ID takes another"
        views = f"views.count {VIEWS}: each view takes as long to encode as an image, so 0 is faster and less accurate"
        found = [
            f"encoder: transformers, the pretrained backbone {self.params.source}{commit}, {reason}; {other}",
            f"image_size {self.image_size}, which the backbone was made for; {kept} kept; {views}",
        ]
        if median_side < self.image_size:
            small = f"these images, of about {median_side:.0f} pixels a side, are enlarged to {self.image_size}"
            found.append(f"{small}: that adds no detail, but the backbone knows things at that size")
        return found


@dataclass(frozen=True)
class EncoderChoice:
    """The encoder of a project, and why it is this one."""

    kind: Literal["supervised", "trained", "transformers"]
    reason: str
    backbone: Backbone | None = None

    def set_in(self, params: CommentedMap) -> None:
        """Set the parameters of the encoder, and those that depend on it."""
        encoder = params["encoder"]
        encoder["kind"] = self.kind
        if self.kind != "supervised":  # which the preset is for
            _set(params, FROM_SCRATCH)
            _set(params, TRAININGS[self.kind])
        if self.backbone is None:
            return
        section = CommentedMap(self.backbone.params.model_dump(mode="json"))
        section.fa.set_flow_style()
        encoder["transformers"] = section
        encoder["side"] = SIDE if self.backbone.side > SIDE else None
        params["data"]["image_size"] = self.backbone.image_size
        params["encode"]["batch_size"] = BATCH
        params["views"]["count"] = VIEWS

    def lines(self, median_side: float) -> list[str]:
        """Return sentences for the summary: which encoder, why, and what to change it with.

        median_side: of the photographs, in pixels.
        """
        if self.backbone is not None:
            return self.backbone.lines(self.reason, median_side)
        advice = f"{OPTION} FOLDER_OR_ID takes one, with the extra: {install_line('pretrained')}"
        return [
            f"encoder: {self.kind} ({TRAINED_HERE[self.kind]}), {self.reason}",
            f"a backbone that was trained on millions of images can tell far more things apart: {advice}",
        ]


def _set(params: CommentedMap, changes: Mapping[str, Any]) -> None:
    """Set values by their nested keys."""
    for key, value in changes.items():
        if isinstance(value, Mapping):
            _set(params[key], value)
        elif isinstance(value, list):
            params[key] = CommentedSeq(value)
            params[key].fa.set_flow_style()
        else:
            params[key] = value


def choose_encoder(asked: str | None) -> EncoderChoice:
    """Return the encoder that is asked for; without a wish the default backbone if it is at hand, else `supervised`.

    asked: 'supervised', 'trained', a folder with a backbone, or the id of one on the hub, perhaps as id@revision.

    Raises ModelError unless a named backbone can be read and encodes images, and MissingExtraError without the package.
    """
    match asked:
        case None:
            return _best_at_hand()
        case "supervised" | "trained":
            return EncoderChoice(asked, f"as {OPTION} says")
    import_transformers(OPTION)
    source, revision = _address(asked)
    return EncoderChoice("transformers", f"as {OPTION} says", _opened(source, revision))


def _best_at_hand() -> EncoderChoice:
    """Return the default backbone, or `supervised` with the reason why the backbone is not at hand."""
    try:
        import_transformers(PARAMETER)
        found = commit_at_hand(DEFAULT, None)
        if found.commit is None:
            return EncoderChoice("supervised", f"as {DEFAULT} is not at hand ({found.problem})")
        backbone = _opened(DEFAULT, found.commit)
    except MissingExtraError:
        return EncoderChoice("supervised", "as the extra `pretrained` is not installed")
    except PipelineError as error:
        return EncoderChoice("supervised", f"as {DEFAULT} could not be read ({error})")
    where = "found in the hub's cache" if found.problem else "the best at hand"
    return EncoderChoice("transformers", where, backbone)


def _address(asked: str) -> tuple[str, str | None]:
    """Return the absolute path of a folder, or an id on the hub and the commit of its revision."""
    path = Path(asked)
    if path.is_dir():
        return str(path.resolve()), None
    if path.is_file():
        raise ModelError(
            f"{asked}: found a file, wanted the folder of a backbone, or an id on the hub. A network in ONNX is named "
            f"in params.yaml: encoder.kind onnx."
        )
    if asked in get_args(EncoderKind):
        raise ModelError(f"{asked}: found a kind that `new-project` does not set up. Set encoder.kind in params.yaml.")
    model_id, _, revision = asked.partition("@")
    if not re.fullmatch(MODEL_ID, model_id):
        raise ModelError(
            f"{asked}: found no such folder, and no id on the hub has this form. Wanted supervised, trained, a folder "
            f"with a backbone, or an id such as {DEFAULT}, perhaps with @revision."
        )
    found = commit_at_hand(model_id, revision or None)
    if found.commit is None:
        raise ModelError(
            f"{asked}: neither a folder here nor a model that the hub gives ({found.problem}). Check the name and the "
            f"network, or name a local folder. Kinds that are trained here are {' and '.join(TRAINED_HERE)}."
        )
    return model_id, found.commit


def _opened(source: str, revision: str | None) -> Backbone:
    """Read a backbone, and let it encode a gray image of its own size."""
    params = TransformersParams(source=source, revision=revision, layer=None)
    folder = backbone_folder(params)
    model, size = VisionBackbone.read(folder, params.layer), input_size(folder)
    channels, side, _ = latent_shape(Encoder(model), size, source)
    return Backbone(params, model, size, channels, side)
