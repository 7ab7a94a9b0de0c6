"""Everything that can go wrong and that the user can put right.

    PipelineError
    ├── ParamsError              params.yaml asks for something that does not exist
    ├── ImageSourceError         images that cannot be had as described
    ├── StoreError               a store of latents or outliers cannot be trusted
    │   ├── UnfinishedStoreError     it has no manifest: the stage that writes it did not end
    │   ├── DamagedStoreError        a file is missing, short, or not the bytes that were written
    │   └── IncompatibleStoreError   whole, but made for something else
    ├── ModelError               a model folder that cannot be used
    ├── DeviceError              the device that was asked for is not there
    ├── ScoreError               scores from which no metric can be computed
    └── UnitError                one of several independent pieces of work failed

Every message says where, what was found, what was wanted and what to do next. A caller's own mistake
(a wrong shape, a negative count) raises a built-in error instead.
"""

from pathlib import Path


class PipelineError(Exception):
    """A problem the user can put right; its message is complete without a traceback."""


class ParamsError(PipelineError):
    """One or more values in the parameter file are unknown, missing or out of range."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__(f"{path}: " + "; ".join(problems))
        self.problems = problems


class ImageSourceError(PipelineError):
    """An image set cannot be built from its source."""


class StoreError(PipelineError):
    """A store of latents or outliers cannot be trusted."""


class UnfinishedStoreError(StoreError):
    """A folder that should be a store has no manifest, so nothing says that it is whole."""

    def __init__(self, manifest: Path) -> None:
        super().__init__(
            f"{manifest}: not found, and a store without it is not finished. "
            f"Run `dvc repro` to make it, or `dvc pull` to fetch it."
        )


class DamagedStoreError(StoreError):
    """A file of a store is not what was written."""

    def __init__(self, file: Path, found: str, wanted: str) -> None:
        super().__init__(
            f"{file}: found {found}, wanted {wanted}. "
            f"The store is damaged: delete its folder, then `dvc checkout` or `dvc repro` restores it."
        )


class IncompatibleStoreError(StoreError):
    """A whole store was made for other latents, classes or another format than the reader's."""

    def __init__(self, store: Path, what: str, found: object, wanted: object) -> None:
        super().__init__(
            f"{store}: {what} is {found!r}, wanted {wanted!r}. "
            f"It was made for something else: run `dvc repro` so that both sides come from the same inputs."
        )


class ModelError(PipelineError):
    """A model folder is missing, damaged or of another kind than wanted."""


class DeviceError(PipelineError):
    """The device that was asked for is not there."""

    def __init__(self, variable: str, name: str, reason: str) -> None:
        super().__init__(f"{variable} is {name!r}, which cannot be used ({reason}). Set it to 'cpu', or unset it.")


class ScoreError(PipelineError):
    """Scores from which no metric can be computed: one class only, or not finite."""


class UnitError(PipelineError):
    """One of several independent pieces of work ended with an error of the system or of the code."""

    def __init__(self, unit: object, reason: str) -> None:
        super().__init__(f"unit {unit!r} failed: {reason}. Finished units are kept; run the stage again to resume.")
