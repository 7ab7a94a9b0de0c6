"""Decoded pictures of a run: outliers of each store, and the hardest test images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch

from pipeline.latents.latents import load_id_train, require_outliers
from pipeline.networks.autoencoder import load_stage_output
from pipeline.params.score import ScoreParams
from pipeline.posthoc.table import ScoreTable
from pipeline.report.grid import PictureRow
from pipeline.report.hardest import HardImage, hardest_images, row_decoder
from pipeline.report.outlier_pictures import outlier_picture_rows
from pipeline.runtime.progress import progress
from pipeline.store.reader import Store


class PictureFolders(NamedTuple):
    """The folders of the latents that are decoded, and of the autoencoder that decodes them."""

    latents: Path
    """The latents of all image sets."""
    scores: Path
    """The table of scores and the stand-ins."""
    stores: Sequence[Path]
    """The stores of outliers."""
    autoencoder: Path


@dataclass(frozen=True)
class Pictures:
    """Decoded images; nothing is trained on them."""

    outliers: dict[str, tuple[PictureRow, ...]]  # by store: rows of pictures, the outliers last
    hardest: dict[str, tuple[HardImage, ...]]  # by image set, the hardest first

    @classmethod
    def decoded(
        cls,
        folders: PictureFolders,
        params: ScoreParams,
        table: ScoreTable,
        metrics: dict[str, Any],
    ) -> Self:
        """Decode the pictures of the report; raises StoreError when a store does not fit these ID latents."""
        id_train = load_id_train(folders.latents / "id_train")
        autoencoder, _ = load_stage_output(folders.autoencoder)
        autoencoder.to(torch.device("cpu"))
        outliers: dict[str, tuple[PictureRow, ...]] = {}
        with progress("drawing outliers, stores", len(folders.stores)) as advance:
            for folder in folders.stores:
                store = Store(folder)
                require_outliers(store, id_train.header)
                outliers[folder.name] = outlier_picture_rows(store, id_train, autoencoder, params.pictures_per_method)
                advance(1)
        decode_rows = row_decoder(folders.latents, folders.scores, id_train.header, autoencoder)
        return cls(outliers, hardest_images(table, metrics, params.hardest_pictures, decode_rows))
