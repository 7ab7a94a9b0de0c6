"""Open an image set by its name in params.yaml; only the module of its own source is imported."""

from pipeline.images.folder_params import FolderImagesSource, FolderSource
from pipeline.images.image_set import ImageSet
from pipeline.images.params import DataParams
from pipeline.images.table_params import DatasetImagesSource, DatasetSource, ParquetImagesSource, ParquetSource

FilesSource = (
    ParquetSource | ParquetImagesSource | DatasetSource | DatasetImagesSource | FolderSource | FolderImagesSource
)


def open_image_set(name: str, data: DataParams) -> ImageSet:
    """Return the image set called `name`."""
    chosen = data.sets[name]
    source = data.sources[chosen.source]
    if source.kind == "digits":
        from pipeline.images.digits import digits

        return digits(source, chosen.part)
    if source.kind == "photographs":
        from pipeline.images.photographs import photographs

        return photographs(source)
    if source.kind == "noise":
        from pipeline.images.noise import noise

        return noise(source)
    return _from_files(source, chosen.part)


def _from_files(source: FilesSource, part: str) -> ImageSet:
    if source.kind == "parquet":
        from pipeline.images.parquet import labelled_images

        return labelled_images(source, part)
    if source.kind == "parquet_images":
        from pipeline.images.parquet import unlabelled_images

        return unlabelled_images(source)
    if source.kind == "dataset":
        from pipeline.images.dataset import labelled_dataset

        return labelled_dataset(source, part)
    if source.kind == "dataset_images":
        from pipeline.images.dataset import dataset_images

        return dataset_images(source)
    if source.kind == "folder":
        from pipeline.images.folder import labelled_folder

        return labelled_folder(source, part)
    from pipeline.images.folder import folder_images

    return folder_images(source)
