"""Which image sets a run has: the part of `data` that stages read which open no images."""

from typing import Literal

from pipeline.schema.section import PartOfSection, PlainName, Section

ID_SETS = ("id_train", "id_validation", "id_test")
Group = Literal["id", "near", "far"]


class ImageSetParams(Section):
    """One image set: which part of which source, and what it counts as."""

    group: Group
    source: str
    part: str


class ImageSets(PartOfSection):
    """The image sets by name."""

    sets: dict[PlainName, ImageSetParams]

    def ood_sets(self) -> dict[str, Group]:
        """Return the group of every OOD set, in the order of the file."""
        return {name: chosen.group for name, chosen in self.sets.items() if chosen.group != "id"}
