"""The output of stage `pretrained_teacher`: a card that describes the pretrained teacher, and its outputs."""

from pathlib import Path
from typing import Any, Literal

from pipeline.networks.outputs import OUTPUTS, TeacherOutputs, load_outputs
from pipeline.runtime.errors import IncompatibleStoreError, ModelError, reason
from pipeline.runtime.files import file_digest, read_description, write_json
from pipeline.store.format import Frozen, Header

CARD = "card.json"


class LogisticHead(Frozen):
    """A logistic regression on the model's standardised features, used in place of the model's head."""

    c: float
    """Inverse strength of the L2 penalty."""
    folds: int
    """Folds of the cross-validation on the ID training images: 5, fewer where a class has fewer images, 0 for none."""
    cross_validated_accuracy: float | None
    """Share of the images that are classified correctly by a fit without them; None without folds."""


class PretrainedTeacher(Frozen):
    """A pretrained classifier, how its logits were mapped to the ID classes, and the images that it classified."""

    source: str
    revision: str | None
    """As the parameters give them."""
    kind: str
    """Class of the model in transformers."""
    digest: str | None
    """Digest of a local folder."""
    commit: str | None
    """Commit on the hub that the revision stood for."""
    classes: Literal["own head", "logistic regression"]
    """Source of the logits: the model's head where it names every ID class, else the logistic regression."""
    logistic: LogisticHead | None
    accuracy: float
    """Share of the ID training images that these logits classify correctly."""
    class_names: tuple[str, ...]
    rows: int
    images: dict[str, Any]
    """Source and part of the images, as in the provenance of their latents."""
    outputs: str
    """Digest of the file with the outputs."""


class Card(Frozen):
    """The content of card.json, which is written last."""

    format: Literal["latent-outliers-pretrained-teacher/2"] = "latent-outliers-pretrained-teacher/2"
    model: PretrainedTeacher | None


def write_card(folder: Path, model: PretrainedTeacher | None) -> None:
    """Write the card of a pretrained teacher, or of none."""
    write_json(folder / CARD, Card(model=model).model_dump(mode="json"))


def read_card(folder: Path, id_train: Header) -> PretrainedTeacher | None:
    """Return the pretrained teacher of these ID training latents, or None where the parameters name none.

    Raises ModelError when the card cannot be read, IncompatibleStoreError when its images or classes are others.
    """
    try:
        model = Card.model_validate_json(read_description(folder / CARD, inside=folder)).model
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder / CARD}: no card of a teacher could be read ({reason(error)}). Run `dvc repro`."
        ) from error
    if model is None:
        return None
    images = {name: id_train.provenance.get(name) for name in model.images}
    for title, found, wanted in (
        ("class list", model.class_names, id_train.class_names),
        ("number of rows", model.rows, id_train.rows),
        ("image set", model.images, images),
    ):
        if found != wanted:
            raise IncompatibleStoreError(folder, f"its {title}", found, wanted)
    return model


def load_pretrained_teacher(folder: Path, id_train: Header) -> TeacherOutputs | None:
    """Return the outputs of the pretrained teacher on these ID training latents, or None where there is none.

    Raises ModelError when they are damaged, IncompatibleStoreError when their images or classes are others.
    """
    model = read_card(folder, id_train)
    if model is None:
        return None
    outputs = load_outputs(folder, model.rows, len(model.class_names))
    if (digest := file_digest(folder / OUTPUTS)) != model.outputs:
        raise ModelError(
            f"{folder / OUTPUTS}: found SHA-256 {digest[:16]}, wanted {model.outputs[:16]}. "
            f"The file is damaged: delete the folder, then `dvc checkout` or `dvc repro` restores it."
        )
    return outputs
