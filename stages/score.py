"""Stage `score`: the table of per-sample scores to `reports/` and `models/decision/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def score(
    scores: Path,
    latents: Path,
    outliers: Path,
    models: Path,
    reports: Path,
    decisions: Path,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Judge SCORES; write metrics, plots and the page to REPORTS and thresholds to DECISIONS.

    Pictures are of LATENTS and OUTLIERS, decoded and told of with MODELS.
    """
    from pipeline.score.run import Inputs
    from pipeline.score.run import score as judge

    judge(params, Inputs(scores, latents, outliers, models), reports, decisions)


if __name__ == "__main__":
    run(score)
