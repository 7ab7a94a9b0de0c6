"""The `bundle` section of params.yaml."""

from typing import Annotated

from pydantic import Field

from pipeline.schema.section import Section

Line = Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]*\S[^\r\n]*$")]


class BundleParams(Section):
    """What a bundle's model card says that nothing else knows."""

    title: Line
    licence: Line | None
    """An identifier of the Hugging Face hub; null: the card names none."""
