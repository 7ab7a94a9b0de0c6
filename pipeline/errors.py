"""Everything that can go wrong and that the user can put right.

    PipelineError
    ├── ParamsError              params.yaml asks for something that does not exist or cannot be
    ├── MissingInputError        what an earlier stage makes is not there
    ├── OverwriteError           a file or folder is in the way and may be the only one of its kind
    ├── ProjectError             a project cannot be made from where this code lies
    ├── ImageFileError           a file of images is missing, damaged, or not what its parameters say
    ├── LeakError                an image is in two sets that must have none in common
    ├── BusyError                another process is making the same output
    ├── StoreError               a store of latents or outliers cannot be trusted
    │   ├── UnfinishedStoreError     it has no manifest: the stage that writes it did not end
    │   ├── DamagedStoreError        a file is missing, short, or not the bytes that were written
    │   └── IncompatibleStoreError   whole, but made for something else
    ├── SharingError             DVC could not read or reach a repository, revision or remote
    │   └── RemoteDamagedError       objects on a remote are missing or not what their names say
    ├── ModelError               a model folder that cannot be used
    ├── BundleError              a bundle is missing, damaged, of another format, or cannot be written or fetched
    ├── UnreadImagesError        some of the images that were to be judged could not be read
    ├── ReaderDiedError          a process that decodes images for `predict` died
    ├── HeadError                a classification head that makes no sense for this many classes
    ├── MissingExtraError        an optional part that is asked for is not installed
    ├── DeviceError              the device that was asked for is not there
    ├── ClusterError             a Ray cluster cannot be reached, or would compute something else
    ├── DivergedError            a training whose loss is no longer finite
    ├── ScoreError               scores from which no metric can be computed
    ├── ComparisonError          runs that cannot be compared with each other
    ├── ScoreTableError          a table of per-sample scores that cannot be trusted
    └── UnitError                one of several independent pieces of work failed

Every message says where, what was found, what was wanted and what to do next. A caller's own mistake
(a wrong shape, a negative count) raises a built-in error instead.
"""

from collections.abc import Sequence
from pathlib import Path


def reason(error: BaseException) -> str:
    """Return what an error of another library says, short and in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


class PipelineError(Exception):
    """A problem the user can put right; its message is complete without a traceback."""

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes as class and message: subclasses build the message from other arguments."""
        return _restored, (type(self), str(self))


def _restored(kind: type[PipelineError], message: str) -> PipelineError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error


class ParamsError(PipelineError):
    """One or more values in the parameter file are unknown, missing, out of range or at odds with each other."""

    def __init__(self, path: Path | str, problems: list[str]) -> None:
        super().__init__(f"{path}: " + "; ".join(problems))
        self.problems = problems


class MissingInputError(PipelineError):
    """A folder or file that an earlier stage makes is not there."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: not found. Run `dvc repro` to make it, or `dvc pull` to fetch it.")


class OverwriteError(PipelineError):
    """A command would overwrite a file or folder that may be the only one of its kind."""

    def __init__(self, path: Path, found: str, wanted: str, advice: str) -> None:
        super().__init__(f"{path}: found {found}, wanted {wanted}. {advice}")


class ProjectError(PipelineError):
    """A project cannot be made from where this code lies."""

    def __init__(self, path: Path, found: str, wanted: str, advice: str) -> None:
        super().__init__(f"{path}: found {found}, wanted {wanted}. {advice}")


class ImageFileError(PipelineError):
    """A file of images that the user brought is missing, damaged, or not what its parameters say."""

    def __init__(self, file: Path | str, found: str, wanted: str, advice: str) -> None:
        super().__init__(f"{file}: found {found}, wanted {wanted}. {advice}")


class LeakError(PipelineError):
    """An image is in two sets that must have none in common: the result would be about images seen before."""

    def __init__(
        self,
        latents: Path,
        most_shared: int,
        leaks: Sequence[tuple[str, str, int, Sequence[tuple[int, int]]]],
        files: Sequence[str] = (),
    ) -> None:
        """Tell of each leak (set a, set b, images that both have, examples of their rows), and the files of one."""
        found = [f"{_images(count)} of {a} also in {b} ({_rows(rows[:3])})" for a, b, count, rows in leaks]
        found[0] += f", the first is {' and '.join(files)}" if files else ""
        super().__init__(
            f"{latents}: found {'; '.join(found)}; wanted at most {most_shared}. Take them out of one of the two sets, "
            f"or, if published splits overlap, raise guard.most_shared: then they are counted in the report."
        )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _rows(pairs: Sequence[tuple[int, int]]) -> str:
    """Spell pairs of rows: 'rows 3 and 8, 4 and 9', counted from 0."""
    return "rows " + ", ".join(f"{a} and {b}" for a, b in pairs)


class BusyError(PipelineError):
    """Another process is making the same output."""

    def __init__(self, output: Path) -> None:
        super().__init__(f"{output}: another process is making it now. Wait for it to end, or stop it, and run again.")


class StoreError(PipelineError):
    """A store of latents or outliers cannot be trusted."""


class UnfinishedStoreError(StoreError):
    """A folder that should be a store has no manifest, so nothing says that it is whole."""

    def __init__(self, manifest: Path | str) -> None:
        super().__init__(
            f"{manifest}: not found, and a store without it is not finished. "
            f"Run `dvc repro` to make it, or `dvc pull` to fetch it."
        )


class DamagedStoreError(StoreError):
    """A file of a store is not what was written."""

    def __init__(self, file: Path | str, found: str, wanted: str) -> None:
        super().__init__(
            f"{file}: found {found}, wanted {wanted}. "
            f"The store is damaged: delete its folder, then `dvc checkout` or `dvc repro` restores it."
        )


class IncompatibleStoreError(StoreError):
    """A whole store was made for other latents, classes or another format than the reader's."""

    def __init__(self, store: Path | str, what: str, found: object, wanted: object) -> None:
        super().__init__(
            f"{store}: {what} is {found!r}, wanted {wanted!r}. "
            f"It was made for something else: run `dvc repro` so that both sides come from the same inputs."
        )


class SharingError(PipelineError):
    """DVC could not read or reach a repository, a revision or a remote."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(
            f"{what}: DVC could not read it ({' '.join(reason.split())}). Check the name, `dvc remote list` and the "
            f"access to it, and that whoever made it ran `dvc push`."
        )


class RemoteDamagedError(SharingError):
    """Objects on a remote are missing, or not what their names say."""

    def __init__(self, remote: str, bad: int, all_objects: int) -> None:
        PipelineError.__init__(
            self,
            f"{remote}: {bad} of {all_objects} objects are missing or altered. Where the stores are whole (`dvc pull` "
            f"and `latent-outliers verify` tell), delete on the remote what is named above, then `dvc push` again.",
        )


class ModelError(PipelineError):
    """A model folder is missing, damaged or of another kind than wanted."""


class BundleError(PipelineError):
    """A bundle is missing, damaged, of another format, or cannot be written or fetched."""

    def __init__(
        self,
        where: Path | str,
        found: str,
        wanted: str,
        advice: str = "Copy or fetch the whole bundle again, or make it with `dvc repro bundle`.",
    ) -> None:
        super().__init__(f"{where}: found {found}, wanted {wanted}. {advice}")


class UnreadImagesError(PipelineError):
    """Some of the images that were to be judged could not be read; all others were judged."""

    def __init__(self, unread: int, images: int, output: str) -> None:
        super().__init__(
            f"{output}: {unread} of {_images(images)} could not be read, wanted none. The others were judged; column "
            f"`error` says why each was not."
        )


class ReaderDiedError(PipelineError):
    """A process that decodes images died, and nobody knows which image it was at."""

    def __init__(self) -> None:
        super().__init__(
            "predict: a process that decodes images died (killed, or out of memory), wanted it to live. Free memory or "
            "lower --batch-size, and run it again; a file that ends it every time is found by judging fewer at a time."
        )


class HeadError(PipelineError):
    """A classification head that makes no sense for this many classes."""

    def __init__(self, kind: str, classes: int, wanted: int) -> None:
        super().__init__(
            f"head.kind is {kind!r}, which wants at least {wanted} classes; found {classes}. Choose another head."
        )


class MissingExtraError(PipelineError):
    """Something is asked for that needs a package which is not installed by default."""

    def __init__(self, package: str, extra: str, asked_by: str, reason: str) -> None:
        super().__init__(
            f"{asked_by} needs the package {package}, which cannot be imported ({reason}). "
            f"Install the extra: pip install -c constraints.txt -e '.[{extra}]'"
        )


class DeviceError(PipelineError):
    """The device that was asked for is not there."""

    def __init__(self, variable: str, name: str, reason: str) -> None:
        super().__init__(f"{variable} is {name!r}, which cannot be used ({reason}). Set it to 'cpu', or unset it.")


class ClusterError(PipelineError):
    """A Ray cluster cannot be reached, has no room, or has other code or libraries than the run."""

    def __init__(self, where: str, found: str, wanted: str, advice: str) -> None:
        super().__init__(f"{where}: found {found}, wanted {wanted}. {advice}")


class DivergedError(PipelineError):
    """The loss of a training is no longer finite."""

    def __init__(self, loss: str, value: float, epoch: int, learning_rate: float) -> None:
        super().__init__(
            f"{loss} is {value} in epoch {epoch}, wanted finite values. The training diverged: lower the stage's "
            f"learning_rate, which is {learning_rate}."
        )


class ScoreError(PipelineError):
    """Scores from which no metric can be computed: one class only, or not finite."""


class ComparisonError(PipelineError):
    """Runs that cannot be compared: they have no images or no seeds in common."""

    def __init__(self, runs: list[str], found: str, wanted: str, advice: str) -> None:
        super().__init__(f"{', '.join(runs)}: found {found}, wanted {wanted}. {advice}")


class ScoreTableError(PipelineError):
    """A table of per-sample scores is missing, damaged or of another format."""

    def __init__(self, where: Path | str, found: str) -> None:
        super().__init__(f"{where}: found {found}, wanted a table of scores. Run `dvc repro infer` to make it.")


class UnitError(PipelineError):
    """One of several independent pieces of work ended with an error of the system or of the code."""

    def __init__(self, unit: object, reason: str) -> None:
        super().__init__(f"unit {unit!r} failed: {reason}. Finished units are kept; run the stage again to resume.")
