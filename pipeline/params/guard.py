"""The `guard` section of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.schema.section import Section, Weight


class GuardParams(Section):
    """Which images two sets may have in common."""

    most_shared: Annotated[int, Field(ge=0)]
    """Images that an ID set may share with any other set, for published splits that are known to overlap."""
    near_duplicate: Weight
    """An image nearer to an ID training image than this is reported; 1: the median distance of two neighbours there."""
