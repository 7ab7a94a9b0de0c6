"""The values that rows of a store may have: finite latents, classes of the list, parents and shares that can be."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.store.format import LATENT, LATENT_DTYPE, Header

EXPONENT = np.uint16(0x7C00)
"""The bits of a float16 that are all set in NaN and in infinity, and in no other value."""
ROUNDING = 1e-6
"""How far a share of float32 may be beyond its limits."""


def wrong_value(header: Header, name: str, values: NDArray[Any]) -> tuple[str, str] | None:
    """Return what was found among `values` of `latent` or of a column, and what was wanted; None where all can be."""
    if not values.size:
        return None
    if name == LATENT:
        bits = values.view(np.uint16) if values.dtype == LATENT_DTYPE else values
        return ("NaN or infinity", "finite latents") if ((bits & EXPONENT) == EXPONENT).any() else None
    if (limits := _limits(header, name)) is None:
        return None
    low, high = values.min(), values.max()
    if limits[0] - ROUNDING <= low and high <= limits[1] + ROUNDING:  # false for NaN
        return None
    return f"{name} {high if limits[0] <= low else low}", f"{limits[0]:g} to {limits[1]:g}"


def _limits(header: Header, name: str) -> tuple[float, float] | None:
    """Return the least and the largest value of a column; None where every value can be."""
    kind = name.partition("_")[0]
    if kind in ("label", "class"):
        return -1, len(header.class_names) - 1
    if kind in ("parent", "view"):
        return -1, np.inf
    if kind == "lam":
        return 0, 1
    if kind == "method" and "method_names" in header.provenance:
        return 0, len(header.provenance["method_names"]) - 1
    return None
