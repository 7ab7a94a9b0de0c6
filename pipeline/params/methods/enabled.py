"""Which methods are enabled, and so which outlier stores a run has.

This is the part of `synthesize` that stages read which use outliers and do not make them.
"""

from typing import Self

from pydantic import model_validator

from pipeline.schema.section import PartOfSection, PlainName


class OutlierStores(PartOfSection):
    """The stores of a run, by name; the parameters of the methods are elsewhere."""

    methods: tuple[PlainName, ...]
    """Methods of this run; each makes the store of its name. There are none where all stores are imported."""
    imported: tuple[PlainName, ...]
    """Folders of `data/outliers` that `dvc import` brought from another repository."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every store in `data/outliers` that the detector trains on."""
        return (*self.methods, *self.imported)

    @model_validator(mode="after")
    def _stores_are_distinct(self) -> Self:
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"methods and imported name a store twice: {', '.join(self.names)}")
        if not self.names:
            raise ValueError("methods and imported are empty; wanted one store of outliers in either")
        return self
