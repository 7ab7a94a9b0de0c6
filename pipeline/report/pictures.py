"""Pictures of a run: outliers of each store, and the hardest test images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch

from pipeline.latents.latents import load_id_train, require_outliers
from pipeline.networks.encoders.encoder import load_encoder
from pipeline.params.data import DataParams
from pipeline.params.score import ScoreParams
from pipeline.posthoc.table import ScoreTable
from pipeline.report.grid import PictureRow
from pipeline.report.hardest import HardImage, hardest_images
from pipeline.report.outlier_pictures import outlier_picture_rows
from pipeline.report.row_pictures import DecodedRows, OriginalRows, RowPictures
from pipeline.runtime.progress import progress
from pipeline.store.reader import Store


class PictureFolders(NamedTuple):
    """The folders of the latents that are drawn, and of the encoder that may decode them."""

    latents: Path
    """The latents of all image sets."""
    scores: Path
    """The table of scores and the stand-ins."""
    stores: Sequence[Path]
    """The stores of outliers."""
    encoder: Path


@dataclass(frozen=True)
class Pictures:
    """Images to look at; nothing is trained on them."""

    outliers: dict[str, tuple[PictureRow, ...]]  # by store: rows of pictures, the outliers last
    hardest: dict[str, tuple[HardImage, ...]]  # by image set, the hardest first
    decoded: bool  # whether outliers are drawn; else the encoder has no way back, and only their parents are

    @classmethod
    def drawn(
        cls,
        folders: PictureFolders,
        data: DataParams,
        params: ScoreParams,
        table: ScoreTable,
        metrics: dict[str, Any],
    ) -> Self:
        """Draw the pictures of the report; raises StoreError when a store does not fit these ID latents."""
        id_train = load_id_train(folders.latents / "id_train")
        encoder = load_encoder(folders.encoder).encoder.to(torch.device("cpu"))
        pictures: RowPictures = OriginalRows(data)
        if encoder.can_decode:
            pictures = DecodedRows(encoder, id_train, folders.scores, data)
        outliers: dict[str, tuple[PictureRow, ...]] = {}
        with progress("drawing outliers, stores", len(folders.stores)) as advance:
            for folder in folders.stores:
                store = Store(folder)
                require_outliers(store, id_train.header)
                outliers[folder.name] = outlier_picture_rows(store, id_train, pictures, params.pictures_per_method)
                advance(1)
        return cls(outliers, hardest_images(table, metrics, params, pictures), encoder.can_decode)
