"""The rows of a table that are a part of a source: labels, splits, limits, and rows to skip.

The same rows in a Parquet file and in a dataset give the same images in the same order.
"""

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.decode import quiet
from pipeline.images.encoded.no_picture import NoPictureError
from pipeline.images.image_set import BYTES, OOD_LABEL, ImageSet
from pipeline.images.selection import RowNumbers, limited, shuffled_pictures, shuffled_rows
from pipeline.images.sources.table import LabelledTable, TableImages
from pipeline.images.table import Table
from pipeline.images.table_scan import (
    BadRow,
    TableScan,
    named_rows,
    row_counts,
    row_picture,
    scan_table,
    unusable_rows,
)
from pipeline.runtime.errors import ImageFileError
from pipeline.schema.spelling import nearest_name

NO_LABEL, AMBIGUOUS = "no label", "shown in two classes"


def labelled(source: LabelledTable, part: str) -> ImageSet:
    """Return a part: 'train' and 'validation' divide the ID classes of a table, 'test' has images of them too.

    'held_out' has the other classes of the table with 'test'. The split is stratified by class and depends on the seed
    and, where `test` is a share, on what the images show: copies are in the same part.
    """
    table = source.open_table(source.table_of(part))
    rows = _usable_rows(table, source)
    chosen = np.sort(np.concatenate(limited(_class_rows(rows, source, part), source.limits.model_dump()[part])))
    id_classes = source.id_classes()
    class_index = np.full(len(source.class_names), OOD_LABEL, np.int32)
    class_index[id_classes] = np.arange(len(id_classes))
    return ImageSet(
        labels=class_index[rows.labels[chosen]],
        class_names=() if part == "held_out" else tuple(source.class_names[label] for label in id_classes),
        read=_EncodedImages(table, source, chosen).read,
        files=_account(source, listed=part == "train") if source.on_bad_image == "skip" else None,
    )


def unlabelled(table: Table, source: TableImages) -> ImageSet:
    """Return images of a table in their order, all labelled OOD."""
    rows, files = np.arange(len(table)), None
    if source.on_bad_image == "skip":
        scan = _scanned(table, source)
        rows = np.setdiff1d(rows, [bad.row for bad in scan.bad])
        files = row_counts([(table, scan, scan.bad)], {"all": len(rows)}, listed=True)
    if not len(rows):
        found = f"{len(table)} rows, none of them an image" if len(table) else "no rows"
        raise ImageFileError(table.where, found, "images", "Name other images in params.yaml.")
    rows = np.sort(np.random.default_rng(source.seed).permutation(rows)[: source.images])
    read = _EncodedImages(table, source, rows).read
    return ImageSet(np.full(len(rows), OOD_LABEL, np.int32), (), read, files)


class _EncodedImages:
    """The chosen images of a table, decoded one by one."""

    def __init__(self, table: Table, source: LabelledTable | TableImages, rows: RowNumbers) -> None:
        _require_image_column(table, source.image)
        self.table, self.source, self.rows = table, source, rows
        self.encoded = table.images(source.image, rows)

    def read(self, index: int) -> Image.Image:
        """Return a picture as `decode` does; when it is none, all bad rows of these are named."""
        try:
            with quiet():
                return self._picture(index)
        except NoPictureError as error:
            raise unusable_rows(self.table.where, self.source.image, self._bad_rows()) from error

    def _picture(self, index: int) -> Image.Image:
        return row_picture(self.encoded(index), self.source.largest_pixels)

    def _bad_rows(self) -> list[BadRow]:
        bad = []
        for index, row in enumerate(self.rows):
            try:
                self._picture(index)
            except NoPictureError as error:
                bad.append(BadRow(int(row), error.reason, error.detail))
        return bad


class _UsableRows(NamedTuple):
    """The labels of a table, with OOD_LABEL for rows to skip, and what its images show where that was looked at."""

    table: Table
    labels: NDArray[np.int64]
    scan: TableScan | None
    bad: list[BadRow]


def _usable_rows(table: Table, source: LabelledTable) -> _UsableRows:
    """Return the rows of a table that may be used; raises ImageFileError for others unless they are to be skipped.

    Images are looked at here only if rows are skipped or the split depends on them.
    """
    labels, unlabelled_rows = _labels(table, source)
    if source.on_bad_image == "fail" and isinstance(source.test, str):
        return _UsableRows(table, labels, None, [])
    scan = _scanned(table, source)
    bad = {row: BadRow(row, NO_LABEL, "") for row in unlabelled_rows}
    bad |= {row: BadRow(row, AMBIGUOUS, "") for row in _shown_in_two_classes(scan, labels)}
    bad |= {row.row: row for row in scan.bad}
    if bad and source.on_bad_image == "fail":
        raise unusable_rows(table.where, source.image, [bad[row] for row in sorted(bad)])
    labels[list(bad)] = OOD_LABEL
    return _UsableRows(table, labels, scan, [bad[row] for row in sorted(bad)])


def _shown_in_two_classes(scan: TableScan, labels: NDArray[np.int64]) -> list[int]:
    usable = np.setdiff1d(np.flatnonzero(labels != OOD_LABEL), [bad.row for bad in scan.bad])
    contents = np.array(scan.contents, np.int64)[usable]
    pairs = np.unique(np.stack([contents, labels[usable]]), axis=1)[0]
    ambiguous = pairs[1:][pairs[1:] == pairs[:-1]]
    return [int(row) for row in usable[np.isin(contents, ambiguous)]]


def _scanned(table: Table, source: LabelledTable | TableImages) -> TableScan:
    _require_image_column(table, source.image)
    return scan_table(table, source.image, source.largest_pixels)


def _account(source: LabelledTable, *, listed: bool) -> dict[str, Any]:
    """Return how all rows of the tables of a source were used."""
    parts, tables = dict[str, int](), []
    for name in source.table_names():
        rows = _usable_rows(source.open_table(name), source)
        tables.append((rows.table, cast("TableScan", rows.scan), rows.bad))
        its_parts = [part for part in source.parts() if source.table_of(part) == name]
        parts |= {part: sum(map(len, _class_rows(rows, source, part))) for part in its_parts}
    if unused := sum(len(table) - len(bad) for table, _, bad in tables) - sum(parts.values()):
        parts["no part"] = unused  # classes that are held out, in the table to train on
    return row_counts(tables, parts, listed=listed)


def _class_rows(rows: _UsableRows, source: LabelledTable, part: str) -> list[RowNumbers]:
    """Return the rows of each class in a part, in an order drawn from the seed."""
    found = []
    for label in source.held_out_classes() if part == "held_out" else source.id_classes():
        of_class = shuffled_rows(rows.labels, label, source.seed)
        if not len(of_class):
            raise _too_few(rows.table, source, label, 0, "at least one", "or another column or order of labels")
        if part == "held_out" or (part == "test" and isinstance(source.test, str)):
            found.append(of_class)
        else:
            found.append(_share(rows, source, part, label, of_class))
    return found


def _share(rows: _UsableRows, source: LabelledTable, part: str, label: int, of_class: RowNumbers) -> RowNumbers:
    """Return the part of a class's rows: the first pictures are for test, if that is a share, the next for validation.

    All others are for training.
    """
    start, shares = list(range(len(of_class) + 1)), {"test": 0.0, "validation": source.validation}
    if not isinstance(source.test, str):
        shares["test"], scan = source.test, cast("TableScan", rows.scan)
        ordered = of_class.tolist()
        of_class, start = shuffled_pictures(ordered, [scan.contents[row] for row in ordered], source.seed)
    pictures, cut, parts = len(start) - 1, 0, {}
    for name, share in shares.items():
        count = round(pictures * share)
        parts[name], cut = of_class[start[cut] : start[cut + count]], cut + count
        if share and not 0 < count < pictures:
            wanted = f"enough for {name} to take {share} of them and for both sides to have one"
            raise _too_few(rows.table, source, label, len(of_class), wanted, "or another share")
    parts["train"] = of_class[start[cut] :]
    return parts[part]


def _labels(table: Table, source: LabelledTable) -> tuple[NDArray[np.int64], list[int]]:
    """Return the column of labels, and rows without any if rows may be skipped; their label is OOD_LABEL.

    Raises ImageFileError when a label is not an index into the class names.
    """
    import pyarrow as pa

    kind = _type(table, "label", source.label)
    if not pa.types.is_integer(kind):
        raise _wrong_type(table, "label", source.label, kind, "integers")
    column = table.column(source.label)
    absent = np.asarray(column.is_null())
    labels = np.asarray(column.fill_null(0))
    unlabelled_rows = absent | (labels < 0) if source.on_bad_image == "skip" else np.zeros(len(labels), bool)
    wrong = np.flatnonzero((absent | (labels < 0) | (labels >= len(source.class_names))) & ~unlabelled_rows)
    if len(wrong):
        row, last = wrong[0], len(source.class_names) - 1
        found = f"{'no label' if absent[row] else f'label {labels[row]}'} in row {row} (the first is 0)"
        wanted = f"0 to {last} in every row, as there are {last + 1} class_names"
        advice = f"Complete class_names in params.yaml, or remove such rows ({named_rows(wrong.tolist())})."
        raise ImageFileError(table.where, found, wanted, advice)
    return np.where(unlabelled_rows, OOD_LABEL, labels.astype(np.int64)), np.flatnonzero(unlabelled_rows).tolist()


def _require_image_column(table: Table, column: str) -> None:
    kind = _type(table, "image", column)
    if not _holds_bytes(kind):
        raise _wrong_type(table, "image", column, kind, f"binary, or a struct with a binary field {BYTES!r}")


def _type(table: Table, parameter: str, column: str) -> Any:
    """Return the Arrow type of a column."""
    names = table.schema.names
    if names.count(column) != 1:
        advice = f"Correct the source's `{parameter}` in params.yaml: {nearest_name(column, names)}"
        raise ImageFileError(table.where, f"columns {', '.join(names)}", f"one called {column!r}", advice)
    return table.schema.field(column).type


def _holds_bytes(kind: Any) -> bool:
    """Return whether a column type is bytes, or a struct with a field of bytes."""
    import pyarrow as pa

    nested = pa.types.is_struct(kind) and kind.get_field_index(BYTES) >= 0
    inner = kind.field(BYTES).type if nested else kind
    return bool(pa.types.is_binary(inner) or pa.types.is_large_binary(inner))


def _wrong_type(table: Table, parameter: str, column: str, kind: object, wanted: str) -> ImageFileError:
    advice = f"Name another column as the source's `{parameter}` in params.yaml, or convert this one."
    return ImageFileError(table.where, f"column {column!r} of type {kind}", wanted, advice)


def _too_few(table: Table, source: LabelledTable, label: int, count: int, wanted: str, choice: str) -> ImageFileError:
    name = source.class_names[label]
    advice = f"Take images with more of that class, {choice}, in params.yaml."
    return ImageFileError(table.where, f"{count} images of class {name!r} (label {label})", wanted, advice)
