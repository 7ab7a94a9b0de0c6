"""The `bundle` section of params.yaml."""

import re
from typing import Annotated

from pydantic import Field

from pipeline.params.encoder import DiffusersParams, EncoderParams, TransformersParams
from pipeline.schema.section import Section

Line = Annotated[str, Field(min_length=1, pattern=r"^[^\r\n]*\S[^\r\n]*$")]
HUB_ID = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}$"
"""A repository on the Hugging Face hub, owner/name."""
COMMIT = r"^[0-9a-f]{40}$"


class BundleParams(Section):
    """What a bundle holds, and what its model card says that nothing else knows."""

    title: Line
    licence: Line | None
    """An identifier of the Hugging Face hub; null: the card names none."""
    copy_encoder: bool
    """False: the weights of a pretrained encoder are left out, and fetched from the hub by whoever loads the bundle."""

    def problems(self, encoder: EncoderParams) -> list[str]:
        """Return why the weights of such an encoder cannot be left out of a bundle; nothing if they are copied."""
        if self.copy_encoder:
            return []
        model = encoder.chosen
        if not isinstance(model, DiffusersParams | TransformersParams):
            found, wanted = f"encoder.kind is {encoder.kind!r}", "'diffusers' or 'transformers'"
        elif not re.fullmatch(HUB_ID, model.source):
            found, wanted = f"encoder.{encoder.kind}.source is {model.source!r}", "an id on the hub"
        elif not re.fullmatch(COMMIT, model.revision or ""):
            found, wanted = f"encoder.{encoder.kind}.revision is {model.revision!r}", "a full commit"
        else:
            return []
        return [f"bundle.copy_encoder is false, but {found}; wanted {wanted}, or bundle.copy_encoder: true"]
