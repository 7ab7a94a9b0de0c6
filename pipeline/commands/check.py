"""Check a parameter file, and that this machine and the images that it names are enough for every stage."""

from pathlib import Path

from pipeline.commands.needs import unfit
from pipeline.commands.resources import require_resources
from pipeline.params.all_params import AllParams, load_all
from pipeline.params.data import DataParams
from pipeline.params.sets import ID_SETS
from pipeline.runtime.errors import ParamsError
from pipeline.runtime.outputs import PARENTS, require_recordable


def check(path: Path) -> tuple[AllParams, list[str]]:
    """Return the parameters, and the image sets that are not on this machine and were not looked at.

    Every other image set is opened, as its stage will do. Raises ParamsError, which lists every problem, ImageFileError
    when images are not what the parameters say, and ProjectError where DVC could not record an output.
    """
    params = load_all(path)
    require_resources(path, params)
    for parent in PARENTS:
        require_recordable(parent / "output")
    elsewhere = [name for name in params.data.sets if not _is_here(params.data, name)]
    images = {name: params.data.open(name) for name in params.data.sets if name not in elsewhere}
    id_train = images.get(ID_SETS[0])
    if id_train is not None and (problems := unfit(params, id_train.class_sizes())):
        raise ParamsError(path, problems)
    return params, elsewhere


def _is_here(data: DataParams, name: str) -> bool:
    """Return whether the images of a set can be looked at without a network."""
    locations = data.sources[data.sets[name].source].locations().values()
    return all(not location.is_on_hub and Path(location.path).exists() for location in locations)
