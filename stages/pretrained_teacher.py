"""Stage `pretrained_teacher`: a transformers image classifier's outputs on ID images, `models/pretrained_teacher/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def pretrained_teacher(output: Path, params: ParamsFile = PARAMS_FILE) -> None:
    """Keep in OUTPUT the logits and features of the parameters' classifier on the ID training images, where one is."""
    from pipeline.pretrained_teacher.run import make_pretrained_teacher

    make_pretrained_teacher(params, output)


if __name__ == "__main__":
    run(pretrained_teacher)
