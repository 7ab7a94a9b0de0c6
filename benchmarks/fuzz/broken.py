"""Break good inputs: bytes flipped, cut, repeated and spliced; values of a structure replaced by odd ones."""

import json
from copy import deepcopy
from typing import Any

import numpy as np

Random = np.random.Generator
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 10**400, 1e308, -0.0, "", "\0", "../../etc/passwd", "é" * 300, "!!python/object", [], {},
    [[]], {"": None}, [1] * 1000,
)  # fmt: skip
TOKENS = (
    b"\0",
    b"\xff" * 8,
    b"{",
    b"[" * 5000,
    b"\nseeds: " + b"[" * 3000,
    b"}",
    b": ",
    b"&a *a",
    b"!!python/object/apply:os.system",
    b"1e999",
    b"-",
)


def mutated(rng: Random, content: bytes) -> bytes:
    """Return bytes with one to four places broken."""
    found = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        place, other = (int(rng.integers(len(found) + 1)) for _ in range(2))
        start, end = sorted((place, other))
        match int(rng.integers(6)):
            case 0:
                found[place : place + 1] = bytes([int(rng.integers(256))])
            case 1 if found and place < len(found):
                found[place] ^= 1 << int(rng.integers(8))
            case 2:
                del found[start : min(end, start + 200)]
            case 3:
                found[place:place] = found[start : min(end, start + 200)]
            case 4:
                found[place:place] = TOKENS[rng.integers(len(TOKENS))]
            case _:
                del found[place:]
    return bytes(found)


def replaced(rng: Random, content: dict[str, Any]) -> dict[str, Any]:
    """Return a structure with one to three values replaced by odd ones, or keys renamed."""
    found: dict[str, Any] = json.loads(json.dumps(content))
    for _ in range(rng.integers(1, 4)):
        here: Any = found
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = keys[rng.integers(len(keys))]
            if isinstance(here[key], dict | list) and here[key] and rng.random() < 0.85:
                here = here[key]
                continue
            if isinstance(here, dict) and rng.random() < 0.2:
                here[f"{key}x"] = here.pop(key)
            else:
                here[key] = deepcopy(ODD[rng.integers(len(ODD))])
            break
    return found


def broken_numbers(rng: Random, content: bytes) -> bytes:
    """Return a safetensors file with one to eight float32 replaced by values that arithmetic does not survive."""
    start = 8 + int.from_bytes(content[:8], "little")
    found = bytearray(content)
    odd = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 0.0, -1.0], np.float32)
    for _ in range(rng.integers(1, 9)):
        if (count := (len(found) - start) // 4) > 0:
            place = start + 4 * int(rng.integers(count))
            found[place : place + 4] = odd[rng.integers(len(odd))].tobytes()
    return bytes(found)
