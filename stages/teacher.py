"""Stage `teacher`: ID latents to one cross-entropy classifier per seed, `models/teacher/<seed>/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, Ray, Workers, run


def teacher(
    latents: Path,
    output: Path,
    curves: Path,
    params: ParamsFile = PARAMS_FILE,
    workers: Workers = None,
    ray: Ray = None,
) -> None:
    """Train the teacher of every seed on the ID training store LATENTS, to OUTPUT; show epochs in CURVES."""
    from pipeline.launch import Launch
    from pipeline.teacher.run import train_teachers

    train_teachers(params, latents, output, curves, Launch(workers, ray))


if __name__ == "__main__":
    run(teacher)
