"""How many images of a labelled source are taken at most."""

from pipeline.config import Count, Section


class Limits(Section):
    """At most so many images of each part, in proportion to its classes; null: all of them."""

    train: Count | None
    validation: Count | None
    test: Count | None
    held_out: Count | None
