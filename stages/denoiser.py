"""Stage `denoiser`: ID latents to a class-conditional diffusion model, `models/denoiser/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def denoiser(latents: Path, output: Path, needed_by: Path, curve: Path, params: ParamsFile = PARAMS_FILE) -> None:
    """Train the denoiser on the store LATENTS, to OUTPUT; name its digest in NEEDED_BY; show epochs in CURVE."""
    from pipeline.denoiser.run import make_denoiser

    make_denoiser(params, latents, output, needed_by, curve)


if __name__ == "__main__":
    run(denoiser)
