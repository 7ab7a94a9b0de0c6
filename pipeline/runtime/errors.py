"""The errors that a user can put right.

    PipelineError
    ├── ParamsError              params.yaml asks for something that does not exist or cannot be
    ├── MissingInputError        an output of an earlier stage is missing
    ├── OverwriteError           a command would overwrite a file or folder that may exist only once
    ├── ProjectError             a project cannot be made from this copy of the code, or run where it lies
    ├── ImageFileError           a file of images is missing, damaged, or not as its parameters say
    ├── LeakError                an image is in two sets that must have none in common
    ├── BusyError                another process is making the same output
    ├── OutOfMemoryError         memory does not suffice
    ├── DamagedOutputError       a file of a stage's output has other bytes than were written
    ├── StoreError               a store of latents or outliers cannot be trusted
    │   ├── UnfinishedStoreError     it has no manifest, so its stage did not finish
    │   ├── DamagedStoreError        a file is missing, short, or has other bytes than were written
    │   └── IncompatibleStoreError   complete, but made for something else
    ├── SharingError             DVC could not read or reach a repository, revision or remote
    │   └── RemoteDamagedError       objects on a remote are missing or altered
    ├── ModelError               a model folder cannot be used
    ├── BundleError              a bundle is missing, damaged, of another format, or cannot be written or fetched
    ├── UnreadImagesError        some images that were to be judged could not be
    ├── ReaderDiedError          a process that decodes images for `predict` died
    ├── HeadError                a classification head does not work with so few classes
    ├── MissingExtraError        an optional package that is needed is not installed
    ├── DeviceError              the requested device is not available
    ├── ClusterError             a Ray cluster cannot be reached, or would compute something else
    ├── DivergedError            the loss of a training is no longer finite
    ├── ScoreError               no metric can be computed from the scores
    ├── ComparisonError          runs cannot be compared with each other
    ├── ScoreTableError          a table of per-sample scores cannot be trusted
    └── UnitError                one of several independent pieces of work failed

Every message says where the problem is, what was found, what was wanted and what to do next. A programming error
(a wrong shape, a negative count) raises a built-in error instead.
"""

from collections.abc import Sequence
from pathlib import Path

from pipeline.runtime.text.install import install_line
from pipeline.runtime.text.user_text import printable


def reason(error: BaseException) -> str:
    """Return the message of another library's error, shortened to one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


class PipelineError(Exception):
    """A problem that the user can put right. Its message is one printable line, complete without a traceback."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the error as class and message, since subclasses build the message from other arguments."""
        return Exception.__new__, (type(self), str(self))


class _FoundError(PipelineError):
    """Something else was found than what was wanted."""

    def __init__(self, where: Path | str, found: str, wanted: str, advice: str) -> None:
        super().__init__(f"{where}: found {found}, wanted {wanted}. {advice}")


class ParamsError(PipelineError):
    """One or more parameters are unknown, missing, out of range or contradict each other."""

    def __init__(self, path: Path | str, problems: list[str]) -> None:
        super().__init__(f"{path}: " + "; ".join(problems))
        self.problems = problems


class MissingInputError(PipelineError):
    """A folder or file that an earlier stage makes is missing."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: not found. Run `dvc repro` to make it, or `dvc pull` to fetch it.")


class OverwriteError(_FoundError):
    """A command would overwrite a file or folder that may exist only once."""


class ProjectError(_FoundError):
    """A project cannot be made from this copy of the code, or cannot be run where it lies."""


class ImageFileError(_FoundError):
    """A file of the user's images is missing, damaged, or not as its parameters say."""


class LeakError(PipelineError):
    """An image is in two sets that must have none in common. Results would then cover images that were seen before."""

    def __init__(
        self,
        latents: Path,
        most_shared: int,
        leaks: Sequence[tuple[str, str, int, Sequence[tuple[int, int]]]],
        files: Sequence[str] = (),
    ) -> None:
        """Describe the leaks.

        leaks: set a, set b, number of images in both, and examples of their rows; files: the two files of the first.
        """
        found = [f"{_images(count)} of {a} also in {b} ({_rows(rows[:3])})" for a, b, count, rows in leaks]
        found[0] += f", the first is {' and '.join(files)}" if files else ""
        super().__init__(
            f"{latents}: found {'; '.join(found)}; wanted at most {most_shared}. Take them out of one of the two sets, "
            f"or, if published splits overlap, raise guard.most_shared: then they are counted in the report."
        )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _rows(pairs: Sequence[tuple[int, int]]) -> str:
    """Return pairs of rows as text, such as 'rows 3 and 8, 4 and 9', counted from 0."""
    return "rows " + ", ".join(f"{a} and {b}" for a, b in pairs)


class BusyError(PipelineError):
    """Another process is making the same output."""

    def __init__(self, output: Path) -> None:
        super().__init__(
            f"{output}: another process is making it now. Wait until it ends, or stop it, then run the command again."
        )


class OutOfMemoryError(PipelineError):
    """Memory does not suffice, on this machine or on its GPU."""

    def __init__(self, subject: object, size: str, available: str, advice: str) -> None:
        super().__init__(f"{subject}: needs {size}, there are {available}. {advice}")


class DamagedOutputError(_FoundError):
    """A file of a stage's output is missing, or has other bytes than were written."""


class StoreError(PipelineError):
    """A store of latents or outliers cannot be trusted."""


class UnfinishedStoreError(StoreError):
    """A folder that should be a store has no manifest, so the store may be incomplete."""

    def __init__(self, manifest: Path | str) -> None:
        super().__init__(
            f"{manifest}: not found, and a store without it is not finished. "
            f"Run `dvc repro` to make it, or `dvc pull` to fetch it."
        )


class DamagedStoreError(StoreError):
    """A file of a store has other bytes than were written."""

    def __init__(self, file: Path | str, found: str, wanted: str) -> None:
        super().__init__(
            f"{file}: found {found}, wanted {wanted}. "
            f"The store is damaged. Delete its folder, then restore it with `dvc checkout` or `dvc repro`."
        )


class IncompatibleStoreError(StoreError):
    """A complete store was made for other latents or classes than its reader expects, or in another format."""

    def __init__(self, store: Path | str, subject: str, found: object, wanted: object) -> None:
        super().__init__(
            f"{store}: {subject} is {found!r}, wanted {wanted!r}. "
            f"It was made for something else. Run `dvc repro`, so that both sides come from the same inputs."
        )


class SharingError(PipelineError):
    """DVC could not read or reach a repository, a revision or a remote."""

    ACCESS = "Check the name, `dvc remote list` and your access. Its owner has to run `dvc push`."

    def __init__(self, subject: str, reason: str, advice: str = ACCESS) -> None:
        super().__init__(f"{subject}: DVC could not read it ({' '.join(reason.split())}). {advice}")


class RemoteDamagedError(SharingError):
    """Objects on a remote are missing, or have other bytes than their names say."""

    def __init__(self, remote: str, bad_objects: int, all_objects: int) -> None:
        PipelineError.__init__(
            self,
            f"{remote}: {bad_objects} of {all_objects} objects are missing or altered, wanted none. Delete the objects "
            f"that are listed above from the remote. Then run `dvc push` where the stores are whole (check with "
            f"`dvc pull` and `latent-outliers verify`).",
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
        advice: str = "Copy or fetch the whole bundle again, or make it with `dvc repro`.",
    ) -> None:
        super().__init__(f"{where}: found {found}, wanted {wanted}. {advice}")


class UnreadImagesError(PipelineError):
    """Some images that were to be judged could not be. All others were judged."""

    def __init__(self, unread: int, images: int, output: str) -> None:
        super().__init__(
            f"{output}: {unread} of {_images(images)} could not be judged, wanted none. Column `error` has the reasons."
        )


class ReaderDiedError(PipelineError):
    """A process that decodes images died; it is not known which image it was decoding."""

    def __init__(self) -> None:
        super().__init__(
            "predict: a process that decodes images died (killed, or out of memory), wanted it to keep running. Free "
            "memory or lower --batch-size, and run the command again. To find a file that does it every time, judge "
            "fewer files at a time."
        )


class HeadError(PipelineError):
    """A classification head does not work with so few classes."""

    def __init__(self, kind: str, classes: int, wanted: int) -> None:
        super().__init__(
            f"head.kind is {kind!r} with {classes} classes, wanted at least {wanted} classes. Choose another head."
        )


class MissingExtraError(PipelineError):
    """A parameter or option needs a package that is not installed by default."""

    def __init__(self, package: str, extra: str, asked_by: str, reason: str) -> None:
        super().__init__(
            f"{asked_by} needs the package {package}, which cannot be imported ({reason}). "
            f"Install the extra: {install_line(extra)}"
        )


class DeviceError(PipelineError):
    """The requested device is not available."""

    def __init__(self, variable: str, name: str, reason: str) -> None:
        super().__init__(
            f"{variable} is {name!r}, which cannot be used ({reason}), wanted a device that this machine and this "
            f"build of PyTorch have. Set it to 'cpu', or unset it."
        )


class ClusterError(_FoundError):
    """A Ray cluster cannot be reached, has no room for a task, or has other code or libraries than the run."""


class DivergedError(PipelineError):
    """The loss of a training is no longer finite."""

    def __init__(self, loss: str, value: float, epoch: int, learning_rate: float) -> None:
        super().__init__(
            f"{loss} is {value} in epoch {epoch}, wanted finite values. The training diverged. Lower the stage's "
            f"learning_rate, which is {learning_rate}."
        )


class ScoreError(PipelineError):
    """No metric can be computed: the scores are of one class only, or not finite."""


class ComparisonError(_FoundError):
    """Runs cannot be compared: they have no images or seeds in common, or a run lacks a score."""


class ScoreTableError(PipelineError):
    """A table of per-sample scores is missing, damaged or of another format."""

    def __init__(self, where: Path | str, found: str, stage: str = "infer") -> None:
        self.where, self.found = where, found
        super().__init__(f"{where}: found {found}, wanted a table of scores. Run `dvc repro {stage}` to make it.")


class UnitError(PipelineError):
    """One of several independent pieces of work ended with an error of the system or of the code."""

    def __init__(self, unit: object, reason: str) -> None:
        super().__init__(f"unit {unit!r} failed: {reason}. Finished units are kept; run the stage again to resume.")
