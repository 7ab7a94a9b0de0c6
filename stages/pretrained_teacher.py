"""Stage `pretrained_teacher`: a transformers image classifier's outputs on ID images, `models/pretrained_teacher/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.runtime.command import PARAMS_FILE, ParamsPath, run

if TYPE_CHECKING:
    from pipeline.params.data import DataParams
    from pipeline.params.pretrained_teacher import PretrainedTeacherParams


def pretrained_teacher(output: Path, params: ParamsPath = PARAMS_FILE) -> None:
    """Keep in OUTPUT the logits and features of the parameters' classifier on the ID training images, where one is."""
    from pipeline.networks.pretrained_teacher import write_card
    from pipeline.params.data import DataParams
    from pipeline.params.pretrained_teacher import PretrainedTeacherParams
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.schema.reader import ParamsFile

    file = ParamsFile(params)
    data, settings = file.section("data", DataParams), file.section("pretrained_teacher", PretrainedTeacherParams)
    if settings.model is not None:
        _keep_outputs(output, data, settings)
        return
    with publish_when_done(output, {"pretrained_teacher": None}, inputs=[]) as work:
        write_card(work, None)


def _keep_outputs(output: Path, data: DataParams, settings: PretrainedTeacherParams) -> None:
    from importlib.metadata import version

    from pipeline.networks.classifier import Classifier
    from pipeline.networks.outputs import OUTPUTS, save_outputs
    from pipeline.networks.pretrained_teacher import PretrainedTeacher, write_card
    from pipeline.runtime.device import STAGE_THREADS, chosen_device, prepare_torch
    from pipeline.runtime.files import file_digest
    from pipeline.runtime.workspace import publish_when_done
    from pipeline.training.pretrained_teacher import teacher_outputs

    assert settings.model is not None
    prepare_torch(STAGE_THREADS)
    source, revision = settings.model.source, settings.model.revision
    classifier, identity = Classifier.load(source, revision, chosen_device())
    images = data.open("id_train")
    facts = {
        "data": data.model_dump(mode="json"),
        "pretrained_teacher": settings.model_dump(mode="json"),
        "model": identity._asdict(),
        "transformers": version("transformers"),
    }
    with publish_when_done(output, facts, inputs=[]) as work:
        outputs, logistic = teacher_outputs(classifier, images, settings)
        save_outputs(work, outputs.logits, outputs.features)
        card = PretrainedTeacher(
            source=source,
            revision=revision,
            **identity._asdict(),
            classes="own head" if logistic is None else "logistic regression",
            logistic=logistic,
            accuracy=float((outputs.logits.argmax(1).numpy() == images.labels).mean()),
            class_names=images.class_names,
            rows=len(images),
            images=data.provenance("id_train") | images.provenance(),
            outputs=file_digest(work / OUTPUTS),
        )
        write_card(work, card)


if __name__ == "__main__":
    run(pretrained_teacher)
