"""The `data` section of params.yaml: which images there are, and which image set each of them belongs to."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config import Count, Fraction, Section, Seed

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
        for name, image_set in self.sets.items():
            if (image_set.group == "id") != (name in ID_SETS):
                raise ValueError(f"sets.{name}: group 'id' is for {', '.join(ID_SETS)}, and these are nothing else")
            if image_set.source not in self.sources:
                raise ValueError(f"sets.{name}.source is {image_set.source!r}, wanted one of {sorted(self.sources)}")
            parts = PARTS[self.sources[image_set.source].kind]
            if image_set.part not in parts:
                raise ValueError(f"sets.{name}.part is {image_set.part!r}, wanted one of {', '.join(parts)}")
        if absent := [name for name in ID_SETS if name not in self.sets]:
            raise ValueError(f"sets lacks {', '.join(absent)}")
        return self

    def ood_sets(self) -> dict[str, Literal["near", "far"]]:
        """Return the group of every OOD set, in the order of the file."""
        return {name: chosen.group for name, chosen in self.sets.items() if chosen.group != "id"}
