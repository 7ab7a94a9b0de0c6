"""The checksum of a chunk's values, CRC-32C, as zarr's codec writes it behind them."""

from typing import BinaryIO

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from pipeline.store.format import PIECE_BYTES


def checksum(stream: BinaryIO, length: int, into: NDArray[np.uint8] | None = None) -> int:
    """Read `length` bytes, the first of them into `into`, and return the CRC-32C of all bytes read.

    If a stream ends early, the result is the checksum of fewer bytes, which matches no manifest.
    """
    crc, done, kept = 0, 0, 0 if into is None else len(into)
    scratch = np.empty(max(0, min(PIECE_BYTES, length - kept)), np.uint8)
    while done < length:
        piece = into[done : done + PIECE_BYTES] if into is not None and done < kept else scratch[: length - done]
        count = stream.readinto(piece.data)  # type: ignore[attr-defined]  # typing's BinaryIO lacks it
        if not count:
            break
        crc = google_crc32c.extend(crc, piece[:count])
        done += count
    return crc
