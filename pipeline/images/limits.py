"""How many images of a labelled source are taken at most, and how large one may be."""

from pipeline.config import Count, Section

LARGEST_PIXELS = 89_478_485
"""Width times height; from there on Pillow itself takes a file for a decompression bomb."""


class Limits(Section):
    """At most so many images of each part, in proportion to its classes; null: all of them."""

    train: Count | None
    validation: Count | None
    test: Count | None
    held_out: Count | None
