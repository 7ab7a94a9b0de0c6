"""Stage `train`: ID latents, outlier stores and teachers to one detector per seed, `models/detector/<seed>/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, Workers, run


def train(
    latents: Path,
    outliers: Path,
    teachers: Path,
    pretrained_teacher: Path,
    output: Path,
    curves: Path,
    params: ParamsFile = PARAMS_FILE,
    workers: Workers = None,
) -> None:
    """Train a detector per seed on LATENTS, OUTLIERS and what the teachers say, to OUTPUT; show epochs in CURVES."""
    from pipeline.train.run import Inputs, train_detectors

    train_detectors(params, Inputs(latents, outliers, teachers, pretrained_teacher), output, curves, workers)


if __name__ == "__main__":
    run(train)
