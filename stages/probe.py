"""Stage `probe`: ID test images decoded or saved as JPEG, and encoded again, to `data/probes/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def probe(autoencoder: Path, id_test: Path, output: Path, params: ParamsFile = PARAMS_FILE) -> None:
    """Encode what the model in AUTOENCODER and JPEG make of the ID_TEST images into two stores of latents in OUTPUT."""
    from pipeline.probe.run import make_probes

    make_probes(params, autoencoder, id_test, output)


if __name__ == "__main__":
    run(probe)
