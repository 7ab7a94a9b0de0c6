"""Stage `score`: the table of per-sample scores to `reports/` and `models/decision/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def score(
    scores: Path,
    latents: Path,
    outliers: Path,
    autoencoder: Path,
    summary: Path,
    metrics: Path,
    plots: Path,
    decisions: Path,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Judge SCORES; write SUMMARY, METRICS (JSON), PLOTS (curves, and decoded OUTLIERS) and DECISIONS (thresholds)."""
    from pipeline.score.run import Inputs, Outputs
    from pipeline.score.run import score as judge

    judge(params, Inputs(scores, latents, outliers, autoencoder), Outputs(summary, metrics, plots, decisions))


if __name__ == "__main__":
    run(score)
