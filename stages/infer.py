"""Stage `infer`: what baseline and detector say of every image and probe, to `data/scores/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def infer(
    latents: Path,
    probes: Path,
    teachers: Path,
    detectors: Path,
    guard: Path,
    output: Path,
    params: ParamsFile = PARAMS_FILE,
) -> None:
    """Score the sets in LATENTS that GUARD passed, and PROBES, with TEACHERS and DETECTORS; write a table to OUTPUT."""
    from pipeline.infer.run import Inputs
    from pipeline.infer.run import infer as score_images

    score_images(params, Inputs(latents, probes, teachers, detectors, guard), output)


if __name__ == "__main__":
    run(infer)
