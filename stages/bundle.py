"""Stage `bundle`: the detector of each seed with all it needs, in one folder, `models/bundle/<seed>/`."""

from pathlib import Path

from pipeline.command import PARAMS_FILE, ParamsFile, run


def bundle(id_train: Path, models: Path, metrics: Path, output: Path, params: ParamsFile = PARAMS_FILE) -> None:
    """Put autoencoder, detector and decision of each seed in MODELS into OUTPUT; scores learn from ID_TRAIN again.

    METRICS are told of in the model card.
    """
    from pipeline.bundle.run import Inputs
    from pipeline.bundle.run import bundle as write_bundles

    write_bundles(params, Inputs(id_train, models, metrics), output)


if __name__ == "__main__":
    run(bundle)
