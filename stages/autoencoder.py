"""Stage `autoencoder`: ID training images, or a pretrained model, to `models/autoencoder/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def autoencoder(output: Path, params: ParamsFile = PARAMS_FILE) -> None:
    """Train the autoencoder on the ID training images, or take the pretrained one of the parameters, to OUTPUT."""
    from pipeline.autoencoder.run import make_autoencoder

    make_autoencoder(params, output)


if __name__ == "__main__":
    run(autoencoder)
