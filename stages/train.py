"""Stage `train`: ID latents, outlier stores and teachers to one detector per seed, `models/detector/<seed>/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, Ranks, Ray, Workers, run


def train(
    latents: Path,
    outliers: Path,
    teachers: Path,
    pretrained_teacher: Path,
    output: Path,
    curves: Path,
    params: ParamsFile = PARAMS_FILE,
    workers: Workers = None,
    ray: Ray = None,
    ranks: Ranks = 1,
) -> None:
    """Train a detector per seed on LATENTS, OUTLIERS and what the teachers say, to OUTPUT; show epochs in CURVES."""
    from pipeline.launch import Launch
    from pipeline.train.run import Inputs, train_detectors

    inputs = Inputs(latents, outliers, teachers, pretrained_teacher)
    train_detectors(params, inputs, output, curves, Launch(workers, ray, ranks))


if __name__ == "__main__":
    run(train)
