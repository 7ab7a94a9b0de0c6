"""Choose the test images that are hardest for the detectors, and gather what the page shows about them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.params.infer import ScoreName
from pipeline.params.score import ScoreParams
from pipeline.posthoc.table import ScoreTable
from pipeline.report.row_pictures import RowPictures

Json = dict[str, Any]
ID_TEST = "id_test"
RowNumbers = NDArray[np.int64]


@dataclass(frozen=True)
class HardImage:
    """One of the test images that are hardest for the detectors."""

    image: NDArray[np.float32]  # (s, s, 3) in 0..1
    file: str | None  # its name; None where it is no file of a folder, or names are not to be shown
    score: float  # mean over the seeds
    threshold: float  # mean over the seeds
    flagged_by: int  # number of seeds whose detector calls it an outlier
    truth: str | None  # its class; None where it shows no ID class
    predicted: str  # the class that most detectors predict

    @property
    def flagged(self) -> bool:
        """Whether its score is above the threshold, both as they are shown: means over the seeds."""
        return self.score > self.threshold


def hardest_rows(table: ScoreTable, score: ScoreName, image_set: str, count: int) -> RowNumbers:
    """Return the rows that look most like the other side, the hardest first.

    For the ID test set, these are the rows with the largest scores; for an OOD set, those with the smallest. Scores are
    means over the detectors of all seeds. Equal scores keep the order of the rows.
    """
    mean = table.scores["detector", image_set, score].mean(0)
    order = np.argsort(-mean if image_set == ID_TEST else mean, kind="stable")
    return order[:count].astype(np.int64)


def hardest_images(
    table: ScoreTable,
    metrics: Json,
    params: ScoreParams,
    pictures: RowPictures,
) -> dict[str, tuple[HardImage, ...]]:
    """Return the hardest images of the ID test set and of each OOD set whose images can be drawn."""
    hardest = {}
    for image_set in (ID_TEST, *metrics["sets"]):
        rows = hardest_rows(table, metrics["score"], image_set, params.hardest_pictures)
        found = pictures.image_set(image_set, rows)
        if found is None:
            continue
        files = found.names if params.file_names else [None] * len(rows)
        hardest[image_set] = tuple(
            _hard_image(table, metrics, image_set, row, image, file)
            for row, image, file in zip(rows.tolist(), found.images, files, strict=True)
        )
    return hardest


def _hard_image(
    table: ScoreTable, metrics: Json, image_set: str, row: int, image: NDArray[np.float32], file: str | None
) -> HardImage:
    values = table.scores["detector", image_set, metrics["score"]][:, row]
    thresholds = np.array([metrics["threshold"]["values"][str(seed)] for seed in table.seeds])
    label = int(table.labels[image_set][row])
    return HardImage(
        image=image,
        file=file,
        score=float(values.mean()),
        threshold=float(thresholds.mean()),
        flagged_by=int((values > thresholds).sum()),
        truth=None if label < 0 else table.class_names[label],
        predicted=table.class_names[int(np.bincount(table.predicted["detector", image_set][:, row]).argmax())],
    )
