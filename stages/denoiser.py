"""Stage `denoiser`: ID latents to a class-conditional diffusion model, `models/denoiser/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def denoiser(latents: Path, output: Path, needed_by: Path, params: ParamsFile = PARAMS_FILE) -> None:
    """Train the denoiser on the ID training store LATENTS, to the folder OUTPUT; name its digest in NEEDED_BY."""
    from pipeline.denoiser.run import make_denoiser

    make_denoiser(params, latents, output, needed_by)


if __name__ == "__main__":
    run(denoiser)
