"""Run the stage: from the ID training images to a pretrained classifier's outputs in `models/pretrained_teacher/`."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.config import load_params
from pipeline.device import STAGE_THREADS, chosen_device, prepare_torch
from pipeline.errors import ModelError
from pipeline.files import file_digest
from pipeline.images.image_set import ImageSet
from pipeline.images.source import open_image_set
from pipeline.networks.outputs import OUTPUTS, TeacherOutputs, save_outputs
from pipeline.pretrained_teacher.card import LinearProbe, PretrainedTeacher, write_card
from pipeline.pretrained_teacher.model import Classifier, columns_of_classes
from pipeline.pretrained_teacher.params import Params, PretrainedTeacherParams
from pipeline.pretrained_teacher.probe import linear_probe
from pipeline.progress import progress
from pipeline.workspace import unfinished

ID_TRAIN = "id_train"


def make_pretrained_teacher(params_file: Path, output: Path) -> None:
    """Keep the logits and features of the model that the parameters name; of none, a card that says so."""
    params = load_params(params_file, Params)
    facts: dict[str, object] = {"params": params.model_dump(mode="json")}
    if (model := params.pretrained_teacher.model) is None:
        with unfinished(output, facts, inputs=[]) as work:
            write_card(work, None)
        return
    prepare_torch(STAGE_THREADS)
    classifier, identity = Classifier.load(model.source, model.revision, chosen_device())
    images = open_image_set(ID_TRAIN, params.data)
    facts |= {"model": identity._asdict(), "transformers": version("transformers")}
    with unfinished(output, facts, inputs=[]) as work:
        said, probe = _ask(classifier, images, params.pretrained_teacher)
        save_outputs(work, said.logits, said.features)
        card = PretrainedTeacher(
            source=model.source,
            revision=model.revision,
            **identity._asdict(),
            classes="own head" if probe is None else "linear probe",
            probe=probe,
            accuracy=float((said.logits.argmax(1).numpy() == images.labels).mean()),
            class_names=images.class_names,
            rows=len(images),
            images=params.data.provenance(ID_TRAIN) | images.provenance(),
            outputs=file_digest(work / OUTPUTS),
        )
        write_card(work, card)


def _ask(
    classifier: Classifier, images: ImageSet, params: PretrainedTeacherParams
) -> tuple[TeacherOutputs, LinearProbe | None]:
    """Return the outputs on the ID classes, and the probe where the model's own head is of other classes."""
    logits, features = _forward(classifier, images, params.batch_size)
    columns = columns_of_classes(classifier.class_names, images.class_names)
    if columns is not None:
        return TeacherOutputs(logits[:, columns], features), None
    present = np.unique(images.labels)
    if len(present) < 2 or not np.array_equal(present, np.arange(len(images.class_names))):
        raise ModelError(
            f"{classifier.source}: found ID training images of {len(present)} of {len(images.class_names)} classes, "
            f"wanted two classes or more and images of each: a linear probe has to learn what its own head lacks."
        )
    probe = linear_probe(features.numpy(), images.labels, params.probe_c)
    card = LinearProbe(c=params.probe_c, folds=probe.folds, cross_validated_accuracy=probe.accuracy)
    return TeacherOutputs(torch.from_numpy(probe.logits).float(), features), card


def _forward(classifier: Classifier, images: ImageSet, batch_size: int) -> tuple[Tensor, Tensor]:
    """Return the model's logits (n, classes of the model) and features (n, d), row i of image i.

    A short batch is filled up with its last image, so that the computation is the same for every row.
    """
    parts = []
    with progress(f"classifying {ID_TRAIN}, images", len(images)) as advance:
        for start in range(0, len(images), batch_size):
            rows = min(batch_size, len(images) - start)
            batch = [images.read(start + min(row, rows - 1)) for row in range(batch_size)]
            parts.append([output[:rows] for output in classifier(batch)])
            advance(rows)
    logits, features = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    if not (logits.isfinite().all() and features.isfinite().all()):
        raise ModelError(f"{classifier.source}: its answers are not all finite. Its weights are damaged: get it again.")
    return logits, features
