"""Stage `score`: teachers, detectors and all latents to `reports/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def score(
    latents: Path,
    outliers: Path,
    teachers: Path,
    detectors: Path,
    autoencoder: Path,
    metrics: Path,
    plots: Path,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Score LATENTS with TEACHERS and DETECTORS; write METRICS (JSON) and PLOTS (curves, and decoded OUTLIERS)."""
    from pipeline.score.run import Inputs
    from pipeline.score.run import score as score_networks

    score_networks(params, Inputs(latents, outliers, teachers, detectors, autoencoder), metrics, plots)


if __name__ == "__main__":
    run(score)
