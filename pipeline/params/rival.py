"""The `rival` section of params.yaml."""

from typing import Literal

from pipeline.schema.section import Count, Positive, Section

RivalKind = Literal["none", "cnn", "regression"]


TITLES: dict[RivalKind, str] = {
    "cnn": "a plain CNN on pixels",
    "regression": "a logistic regression on the encoder's latents",
}
"""What a rival is called in sentences."""


class CnnParams(Section):
    """A plain CNN of four layers on the ID training pixels, with crops and flips; one per seed."""

    epochs: Count
    batch_size: Count
    learning_rate: Positive


class RivalParams(Section):
    """What one would train instead of the detector: its figures stand beside the detector's."""

    kind: RivalKind
    """A CNN on pixels, or a logistic regression on the mean over places of the encoder's maps."""
    cnn: CnnParams
