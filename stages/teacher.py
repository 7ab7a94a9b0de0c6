"""Stage `teacher`: ID latents to one cross-entropy classifier per seed, `models/teacher/<seed>/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, Workers, run


def teacher(
    latents: Path, output: Path, curves: Path, params: ParamsFile = PARAMS_FILE, workers: Workers = None
) -> None:
    """Train the teacher of every seed on the ID training store LATENTS, to OUTPUT; show epochs in CURVES."""
    from pipeline.teacher.run import train_teachers

    train_teachers(params, latents, output, curves, workers)


if __name__ == "__main__":
    run(teacher)
