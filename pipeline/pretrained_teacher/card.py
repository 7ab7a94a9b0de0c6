"""What stage `pretrained_teacher` left: whether there is such a teacher, what it is, and its outputs."""

from pathlib import Path
from typing import Any, Literal

from pipeline.errors import IncompatibleStoreError, ModelError, reason
from pipeline.files import file_digest, write_json
from pipeline.networks.outputs import OUTPUTS, TeacherOutputs, load_outputs
from pipeline.store.format import Frozen, Header

CARD = "card.json"


class LinearProbe(Frozen):
    """The head that stands in for the model's own: a logistic regression on its standardised features."""

    c: float
    """Inverse strength of its L2 penalty."""
    folds: int
    """Of the cross-validation on the ID training images: 5, fewer where a class has fewer images, 0 for none."""
    cross_validated_accuracy: float | None
    """Share of the images given their own class by a probe that has not seen them; None without folds."""


class PretrainedTeacher(Frozen):
    """A classifier, how its answers were brought to the ID classes, and the images it was asked about."""

    source: str
    revision: str | None
    """As they were asked for."""
    kind: str
    """Class of the model in transformers."""
    digest: str | None
    """Of a local folder."""
    commit: str | None
    """Of the hub, which the revision stood for."""
    classes: Literal["own head", "linear probe"]
    """Whose the logits are: the model's, where it names every ID class, else the probe's."""
    probe: LinearProbe | None
    accuracy: float
    """Share of the ID training images given their own class by these logits."""
    class_names: tuple[str, ...]
    rows: int
    images: dict[str, Any]
    """Source and part of the images, as in the provenance of their latents."""
    outputs: str
    """Digest of the file of outputs."""


class Card(Frozen):
    """The file that says all this; written last."""

    format: Literal["latent-outliers-pretrained-teacher/1"] = "latent-outliers-pretrained-teacher/1"
    model: PretrainedTeacher | None


def write_card(folder: Path, model: PretrainedTeacher | None) -> None:
    """Say what the folder holds."""
    write_json(folder / CARD, Card(model=model).model_dump(mode="json"))


def read_card(folder: Path, id_train: Header) -> PretrainedTeacher | None:
    """Return the pretrained teacher of these ID training latents, or None where the parameters name none.

    Raises ModelError when the card cannot be read, IncompatibleStoreError when it is of other images or classes.
    """
    try:
        model = Card.model_validate_json((folder / CARD).read_bytes()).model
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder / CARD}: no card of a teacher could be read ({reason(error)}). Run `dvc repro`."
        ) from error
    if model is None:
        return None
    images = {name: id_train.provenance.get(name) for name in model.images}
    for what, found, wanted in (
        ("class list", model.class_names, id_train.class_names),
        ("number of rows", model.rows, id_train.rows),
        ("image set", model.images, images),
    ):
        if found != wanted:
            raise IncompatibleStoreError(folder, f"its {what}", found, wanted)
    return model


def load_pretrained_teacher(folder: Path, id_train: Header) -> TeacherOutputs | None:
    """Return the outputs of the pretrained teacher on these ID training latents, or None where there is none.

    Raises ModelError when they are damaged, IncompatibleStoreError when they are of other images or classes.
    """
    model = read_card(folder, id_train)
    if model is None:
        return None
    outputs = load_outputs(folder, model.rows, len(model.class_names))
    if (found := file_digest(folder / OUTPUTS)) != model.outputs:
        raise ModelError(
            f"{folder / OUTPUTS}: found SHA-256 {found[:16]}, wanted {model.outputs[:16]}. "
            f"The file is damaged: delete the folder, then `dvc checkout` or `dvc repro` restores it."
        )
    return outputs
