"""The `data` section of params.yaml: which images there are, and which image set each of them belongs to."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.config import Count, Fraction, Section, Seed, nearest_name

ID_SETS = ("id_train", "id_validation", "id_test")


class DigitsSource(Section):
    """scikit-learn's scanned digits (1,797 images of 8 x 8 pixels), some classes held out as near-OOD."""

    kind: Literal["digits"]
    held_out: tuple[Annotated[int, Field(ge=0, le=9)], ...] = Field(min_length=1, max_length=8)
    validation: Fraction
    test: Fraction
    seed: Seed

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        if self.validation + self.test > 0.9:
            raise ValueError(f"validation {self.validation} and test {self.test} leave less than a tenth for training")
        return self


class PhotographsSource(Section):
    """Random gray square patches of scikit-learn's two photographs, reduced to `pixels` x `pixels`."""

    kind: Literal["photographs"]
    images: Count
    smallest_crop: Count
    largest_crop: Annotated[int, Field(le=400)]  # the photographs are 427 pixels high
    pixels: Count
    seed: Seed

    @model_validator(mode="after")
    def _crops_are_ordered(self) -> Self:
        if self.smallest_crop > self.largest_crop:
            raise ValueError(f"smallest_crop {self.smallest_crop} is above largest_crop {self.largest_crop}")
        return self


class NoiseSource(Section):
    """Gray images of `pixels` x `pixels`, every pixel uniform and independent."""

    kind: Literal["noise"]
    images: Count
    pixels: Count
    seed: Seed


Source = Annotated[DigitsSource | PhotographsSource | NoiseSource, Field(discriminator="kind")]
PARTS = {
    "digits": ("train", "validation", "test", "held_out"),
    "photographs": ("all",),
    "noise": ("all",),
}


class ImageSetParams(Section):
    """One image set: which part of which source, and what it counts as."""

    group: Literal["id", "near", "far"]
    source: str
    part: str


class DataParams(Section):
    """The images of a run."""

    image_size: Annotated[int, Field(ge=16, multiple_of=8)]
    sources: dict[str, Source]
    sets: dict[str, ImageSetParams]

    @model_validator(mode="after")
    def _sets_are_possible(self) -> Self:
        for name, chosen in self.sets.items():
            where = f"sets.{name}"
            if (chosen.group == "id") != (name in ID_SETS):
                raise ValueError(f"{where}.group: 'id' is for {', '.join(ID_SETS)}, and these are nothing else")
            if chosen.source not in self.sources:
                raise ValueError(f"{where}.source is {chosen.source!r}; {nearest_name(chosen.source, [*self.sources])}")
            parts = PARTS[self.sources[chosen.source].kind]
            if chosen.part not in parts:
                raise ValueError(f"{where}.part is {chosen.part!r}; {nearest_name(chosen.part, parts)}")
        return self

    @model_validator(mode="after")
    def _id_sets_are_one_split(self) -> Self:
        """Refuse what would score a detector on images it has seen, or on classes it was not taught."""
        if absent := [name for name in ID_SETS if name not in self.sets]:
            raise ValueError(f"sets lacks {', '.join(absent)}")
        source = self.sets[ID_SETS[0]].source
        for name in ID_SETS:
            wanted = (source, name.removeprefix("id_"))
            if (self.sets[name].source, self.sets[name].part) != wanted:
                raise ValueError(f"sets.{name}: wanted source {wanted[0]!r} and part {wanted[1]!r}: one split for all")
        taken: dict[tuple[str, str], str] = {}
        for name, chosen in self.sets.items():
            if (first := taken.setdefault((chosen.source, chosen.part), name)) != name:
                raise ValueError(f"sets.{name} is the same images as sets.{first}")
        return self

    def provenance(self, name: str) -> dict[str, Any]:
        """Return what says which images a set is, and in which order: its source's parameters and its part."""
        chosen = self.sets[name]
        return {"source": self.sources[chosen.source].model_dump(mode="json"), "part": chosen.part}

    def ood_sets(self) -> dict[str, Literal["near", "far"]]:
        """Return the group of every OOD set, in the order of the file."""
        return {name: chosen.group for name, chosen in self.sets.items() if chosen.group != "id"}
