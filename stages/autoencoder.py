"""Stage `autoencoder`: ID training images, or a pretrained model, to `models/autoencoder/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def autoencoder(output: Path, curve: Path, params: ParamsFile = PARAMS_FILE) -> None:
    """Train the autoencoder on the ID training images, or take a pretrained one, to OUTPUT; show epochs in CURVE."""
    from pipeline.autoencoder.run import make_autoencoder

    make_autoencoder(params, output, curve)


if __name__ == "__main__":
    run(autoencoder)
