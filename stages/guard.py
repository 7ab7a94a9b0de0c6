"""Stage `guard`: no image in two sets, or nothing is trained; the latents of all sets to `reports/guard.json`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def guard(latents: Path, report: Path, passed: Path, params: ParamsFile = PARAMS_FILE) -> None:
    """Compare the image sets in LATENTS by content; write REPORT (JSON) and PASSED, or end with an error at a leak."""
    from pipeline.guard.run import compare_sets

    compare_sets(params, latents, report, passed)


if __name__ == "__main__":
    run(guard)
