"""Open an image set by its name in params.yaml; only the module of its own source is imported."""

from pipeline.images.image_set import ImageSet
from pipeline.images.params import DataParams


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
    if source.kind == "parquet":
        from pipeline.images.parquet import labelled_images

        return labelled_images(source, chosen.part)
    if source.kind == "parquet_images":
        from pipeline.images.parquet import unlabelled_images

        return unlabelled_images(source)
    from pipeline.images.noise import noise

    return noise(source)
