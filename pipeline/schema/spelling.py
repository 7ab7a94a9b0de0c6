"""Spelling of names: one form of accents, and the valid name that is closest to a mistyped one."""

import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches


def composed(name: str) -> str:
    """Return a name with accents composed (NFC). Systems and programs spell the same name in two ways."""
    return unicodedata.normalize("NFC", name)


def nearest_name(name: str, valid: Sequence[str]) -> str:
    """Return a hint at the valid name closest to `name`, or at all of them when none is close."""
    nearest = get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"did you mean {nearest[0]!r}?" if nearest else f"valid here: {', '.join(valid)}"
