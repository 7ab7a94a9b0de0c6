"""Stage `quality`: what the outliers of each method are like, to `reports/quality.json` and `reports/quality/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def quality(
    latents: Path, outliers: Path, teachers: Path, report: Path, figures: Path, params: ParamsFile = PARAMS_FILE
) -> None:
    """Measure the stores in OUTLIERS against the ID LATENTS and TEACHERS; write REPORT (JSON) and FIGURES."""
    from pipeline.quality.run import Inputs, judge_outliers

    inputs = Inputs(latents / "id_train", latents / "id_validation", outliers, teachers)
    judge_outliers(params, inputs, report, figures)


if __name__ == "__main__":
    run(quality)
