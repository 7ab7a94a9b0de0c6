"""Parameters of method `mixup`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipeline.params.methods.base import MixedClasses
from pipeline.schema.section import distinct

MixupKind = Literal["linear", "spherical", "masked", "channels"]


class MixupParams(MixedClasses):
    """Latents of different classes, mixed."""

    kinds: Annotated[tuple[MixupKind, ...], Field(min_length=1), AfterValidator(distinct)]
    """In equal parts. Linear and spherical mixes take `classes` latents; a block of places or channels always is of one
    class in another."""
