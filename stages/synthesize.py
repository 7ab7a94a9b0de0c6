"""Stage `synthesize@<method>`: ID latents to `data/outliers/<method>/`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.command import PARAMS_FILE, ParamsFile, Ray, Workers, run

BatchRows = Annotated[int, typer.Option(min=1, help="Rows a worker computes at a time; no byte depends on it.")]


def synthesize(
    method: str,
    latents: Path,
    models: Path,
    output: Path,
    params: ParamsFile = PARAMS_FILE,
    workers: Workers = None,
    ray: Ray = None,
    batch_rows: BatchRows = 1024,
) -> None:
    """Make the outliers of METHOD from the ID training store LATENTS and its MODELS into the store OUTPUT."""
    from pipeline.launch import Launch
    from pipeline.synthesize.run import Inputs
    from pipeline.synthesize.run import synthesize as make_outliers

    make_outliers(method, params, Inputs(latents, models), output, Launch(workers, ray), batch_rows)


if __name__ == "__main__":
    run(synthesize)
