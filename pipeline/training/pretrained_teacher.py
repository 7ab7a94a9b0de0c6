"""Run a pretrained classifier on the ID training images, and map its logits to the ID classes."""

import numpy as np
import torch
from torch import Tensor

from pipeline.images.image_set import ImageSet
from pipeline.networks.classifier import Classifier, columns_of_classes
from pipeline.networks.outputs import TeacherOutputs
from pipeline.networks.pretrained_teacher import LogisticHead
from pipeline.params.pretrained_teacher import PretrainedTeacherParams
from pipeline.runtime.errors import ModelError
from pipeline.runtime.progress import progress
from pipeline.training.logistic import fit_logistic


def teacher_outputs(
    classifier: Classifier, images: ImageSet, params: PretrainedTeacherParams
) -> tuple[TeacherOutputs, LogisticHead | None]:
    """Return the outputs for the ID classes, and the logistic head unless the model's head names every ID class."""
    logits, features = _forward(classifier, images, params.batch_size)
    columns = columns_of_classes(classifier.class_names, images.class_names)
    if columns is not None:
        return TeacherOutputs(logits[:, columns], features), None
    present = np.unique(images.labels)
    if len(present) < 2 or not np.array_equal(present, np.arange(len(images.class_names))):
        raise ModelError(
            f"{classifier.source}: found ID training images of {len(present)} of {len(images.class_names)} classes, "
            f"wanted images of every class, and at least two classes. The model does not name every ID class, so a "
            f"logistic regression must learn them: add images, or choose a model that names every ID class."
        )
    fitted = fit_logistic(features.numpy(), images.labels, params.logistic_c)
    head = LogisticHead(c=params.logistic_c, folds=fitted.folds, cross_validated_accuracy=fitted.accuracy)
    return TeacherOutputs(torch.from_numpy(fitted.logits).float(), features), head


def _forward(classifier: Classifier, images: ImageSet, batch_size: int) -> tuple[Tensor, Tensor]:
    """Return the model's logits (n, classes of the model) and features (n, d), row i of image i.

    A short batch is padded with copies of its last image, so that the computation is the same for every row.
    """
    batch_outputs = []
    with progress("classifying id_train, images", len(images)) as advance:
        for start in range(0, len(images), batch_size):
            rows = min(batch_size, len(images) - start)
            batch = [images.read(start + min(row, rows - 1)) for row in range(batch_size)]
            batch_outputs.append([output[:rows] for output in classifier(batch)])
            advance(rows)
    logits, features = (torch.cat(tensors) for tensors in zip(*batch_outputs, strict=True))
    if not (logits.isfinite().all() and features.isfinite().all()):
        raise ModelError(
            f"{classifier.source}: found logits or features that are not finite, wanted finite ones. "
            f"The model's weights are damaged: fetch the model again."
        )
    return logits, features
