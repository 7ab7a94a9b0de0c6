"""Images in a folder of files: classes in subfolders with given or drawn splits, or OOD images only.

DVC identifies a folder by its path, so DVC does not notice changes in it. A stage that runs does see them, and a digest
distinguishes stores that were made from different states of the folder.

The split depends on the seed and on the content of the pictures. It does not depend on the order in which a system
lists files, on their names, or on other classes. When pictures are added, most others stay in their part.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from os.path import normpath
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
from PIL import Image
from pydantic import model_validator

from pipeline.images.decode import decode_file, quiet
from pipeline.images.division import Shares, divided, small_classes
from pipeline.images.encoded.no_picture import NoPictureError
from pipeline.images.image_set import OOD_LABEL, ImageSet
from pipeline.images.layout import SPLIT_ORDER, ExpectedLayout, Layout, arrange
from pipeline.images.listing import SYSTEM, RejectedFile
from pipeline.images.scan import Picture, scan_folder
from pipeline.images.selection import RowNumbers, draw_key, limited
from pipeline.images.sources.base import ALL, LABELLED_PARTS, ImageLocation, ImageSource, Limits, OnBadImage, Pixels
from pipeline.runtime.errors import ImageFileError
from pipeline.runtime.files import digest, json_bytes
from pipeline.schema.section import Count, Fraction, Name, Seed

FEWEST: Mapping[str, int] = MappingProxyType(dict.fromkeys(SPLIT_ORDER, 1))
"""Fewest images of an ID class in every part."""
EXAMPLES = 3
"""Largest number of bad files that an error names."""


class FolderSource(ImageSource):
    """Labelled images in a folder with one subfolder per class, some classes held out as near-OOD."""

    has_one_split: ClassVar[bool] = True

    kind: Literal["folder"]
    path: Name
    """Path of the folder from the project's root. Its subfolders are the classes; if `test` is null, the splits."""
    held_out: tuple[Name, ...]
    """Names of classes never trained on; may be empty."""
    validation: Fraction | None
    """Share of each ID class; null: the images in `validation/`, `val/`, `valid/` or `dev/`."""
    test: Fraction | None
    """Share of each ID class; null: the images in `test/`; those in `train/` are to train on. Without `test/`, the
    images of the validation split are tested on, if `validation` is a share of the others."""
    limits: Limits
    on_bad_image: OnBadImage
    largest_pixels: Pixels
    """Larger images are refused before they are decoded."""
    seed: Seed

    @model_validator(mode="after")
    def _splits_are_possible(self) -> Self:
        if self.test is not None and self.validation is None:
            raise ValueError("validation is null, which is for folders with splits of their own; then test is null too")
        if (self.validation or 0) + (self.test or 0) > 0.9:
            raise ValueError(f"validation {self.validation} and test {self.test} leave less than a tenth for training")
        for index, name in enumerate(self.held_out):
            if name in self.held_out[:index]:
                raise ValueError(f"held_out has {name!r} twice")
        return self

    @classmethod
    def parts(cls) -> tuple[str, ...]:
        """Return the parts of the ID classes, and 'held_out'."""
        return LABELLED_PARTS

    def locations(self) -> dict[str, ImageLocation]:
        """Return the folder."""
        return {"path": ImageLocation(normpath(self.path))}

    def expected(self) -> ExpectedLayout:
        """Return the layout that the parameters expect of the folder."""
        splits = (
            () if self.test is not None else ("train", "test", *(["validation"] if self.validation is None else []))
        )
        return ExpectedLayout(self.path, self.held_out, splits)

    def small_classes(self, wanted: Mapping[str, int]) -> dict[str, str]:
        """Return by name the ID classes with fewer images in a part than `wanted`, each with the reasons as text."""
        return small_classes(*self._divided(), wanted)

    def _divided(self) -> tuple[Layout, dict[str, list[RowNumbers]]]:
        layout = arrange(scan_folder(Path(self.path), self.largest_pixels), self.expected())
        return layout, divided(layout, Shares(self.validation, self.test, self.seed))

    def open(self, part: str) -> ImageSet:
        """Return 'train', 'validation' or 'test' of the ID classes, or 'held_out', all of the other classes.

        Copies of a picture are always in the same part. Labels number the ID classes in the order of their names.
        """
        root, layout, parts = Path(self.path), *self._divided()
        _refuse(root, self.on_bad_image, layout.bad)
        if small := small_classes(layout, parts, FEWEST):
            advice = "Add images, choose other shares, or leave classes out: name them in the source's `held_out`."
            raise ImageFileError(root, "; ".join(small.values()), "at least one in every part", advice)
        rows = np.sort(np.concatenate(_limited(root, parts[part], self.limits.model_dump()[part], part)))
        labels = {name: label for label, name in enumerate(layout.id_classes)}
        chosen = [layout.placed[row] for row in rows]
        sizes = {name: sum(map(len, classes)) for name, classes in parts.items()}
        return ImageSet(
            labels=np.array([labels.get(item.class_name, OOD_LABEL) for item in chosen], np.int32),
            class_names=() if part == "held_out" else layout.id_classes,
            read=_Files(root, [item.picture for item in chosen], self.largest_pixels).read,
            files=_file_counts([item.picture for item in layout.placed], layout.bad, sizes, listed=part == "train"),
            paths=tuple(root / item.picture.path for item in chosen),
        )


class FolderImagesSource(ImageSource):
    """OOD images in a folder, at any depth; the names of the folders do not matter."""

    kind: Literal["folder_images"]
    path: Name
    """Path of the folder from the project's root."""
    images: Count | None
    """Largest number of images, drawn at random; null: all images."""
    on_bad_image: OnBadImage
    largest_pixels: Pixels
    seed: Seed

    @classmethod
    def parts(cls) -> tuple[str, ...]:
        """Return the only part."""
        return ALL

    def locations(self) -> dict[str, ImageLocation]:
        """Return the folder."""
        return {"path": ImageLocation(normpath(self.path))}

    def open(self, part: str) -> ImageSet:  # noqa: ARG002  # there is one part only
        """Return images of the folder in the order of their paths, all labelled OOD."""
        root = Path(self.path)
        scan = scan_folder(root, self.largest_pixels)
        _refuse(root, self.on_bad_image, scan.bad)
        if not scan.pictures:
            found = f"no images ({len(scan.bad)} other files)"
            raise ImageFileError(root, found, "at least one", "Name another folder.")
        drawn = sorted(range(len(scan.pictures)), key=lambda row: draw_key(self.seed, scan.pictures[row].content))
        chosen = [scan.pictures[row] for row in sorted(drawn[: self.images])]
        return ImageSet(
            labels=np.full(len(chosen), OOD_LABEL, np.int32),
            class_names=(),
            read=_Files(root, chosen, self.largest_pixels).read,
            files=_file_counts(scan.pictures, scan.bad, {"all": len(scan.pictures)}, listed=True),
            paths=tuple(root / picture.path for picture in chosen),
        )


class _Files:
    """The chosen files of a folder, decoded one by one."""

    def __init__(self, root: Path, pictures: Sequence[Picture], largest_pixels: int) -> None:
        self.root, self.pictures, self.largest_pixels = root, pictures, largest_pixels

    def read(self, index: int) -> Image.Image:
        """Return a picture as `decode` does; raises ImageFileError when the file has changed since the scan."""
        picture = self.pictures[index]
        file = self.root / picture.path
        try:
            status = file.stat()
            if (status.st_size, (status.st_mtime_ns, status.st_ctime_ns)) != (picture.size, picture.changed):
                raise _changed(file, "other times or another size")
            with quiet():
                return decode_file(file, self.largest_pixels)
        except (OSError, NoPictureError) as error:
            raise _changed(file, " ".join(str(error).split())) from error


def _changed(file: Path, found: str) -> ImageFileError:
    return ImageFileError(file, found, "the file as it was when its folder was looked through", "Run the stage again.")


def _limited(root: Path, classes: list[RowNumbers], limit: int | None, part: str) -> list[RowNumbers]:
    classes = [rows for rows in classes if len(rows)]
    if not classes:
        advice = "Add images of them, or take the image set of this part out of params.yaml."
        raise ImageFileError(root, f"no images of the classes for {part}", "at least one", advice)
    if limit is not None and limit < len(classes):
        advice = "Raise it in params.yaml, or set it to null."
        raise ImageFileError(root, f"limits.{part} {limit}", f"one image of each of {len(classes)} classes", advice)
    return limited(classes, limit)


def _refuse(root: Path, policy: str, bad: Sequence[RejectedFile]) -> None:
    """Raise ImageFileError if the policy is 'fail' and a file is bad; files of operating systems do not count."""
    wrong = [file for file in bad if file.reason != SYSTEM]
    if policy == "skip" or not wrong:
        return
    examples = [f"{file.path}: {file.reason}{f' ({file.detail})' if file.detail else ''}" for file in wrong[:EXAMPLES]]
    more = f"; and {len(wrong) - EXAMPLES} more" if len(wrong) > EXAMPLES else ""
    found = f"{len(wrong)} file{'s' * (len(wrong) > 1)} that cannot be used ({'; '.join(examples)}{more})"
    advice = "Mend or remove them, or set the source's `on_bad_image` to skip in params.yaml to leave them out."
    raise ImageFileError(root, found, "images only", advice)


def _file_counts(
    pictures: Sequence[Picture], bad: Sequence[RejectedFile], parts: dict[str, int], *, listed: bool
) -> dict[str, Any]:
    """Return how many files were found: those in the parts, before any limit, plus those skipped, by reason.

    listed: add the paths of skipped files; one part of a source lists them for all parts.
    """
    state = [[picture.path, picture.content] for picture in pictures], [[file.path, file.reason] for file in bad]
    counts: dict[str, Any] = {
        "digest": digest(json_bytes(state)),
        "found": len(pictures) + len(bad),
        "parts": parts,
        "repeated": len(pictures) - len({picture.content for picture in pictures}),
        "skipped": dict(sorted(Counter(file.reason for file in bad).items())),
    }
    if faint := sum(picture.faint for picture in pictures):
        counts["faint"] = faint
    if listed:
        counts["skipped_files"] = {
            reason: [file.path for file in bad if file.reason == reason] for reason in counts["skipped"]
        }
    return counts
