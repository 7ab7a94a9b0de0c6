"""Stage `train`: ID latents, outlier stores and teachers to one detector per seed, `models/detector/<seed>/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, Workers, run


def train(
    latents: Path,
    outliers: Path,
    teachers: Path,
    output: Path,
    params: ParamsFile = PARAMS_FILE,
    workers: Workers = None,
) -> None:
    """Train the detector of every seed on LATENTS, the stores in OUTLIERS and the TEACHERS, to the folder OUTPUT."""
    from pipeline.train.run import train_detectors

    train_detectors(params, latents, outliers, teachers, output, workers)


if __name__ == "__main__":
    run(train)
