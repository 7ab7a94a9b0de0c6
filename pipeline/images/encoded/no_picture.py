"""The reasons why bytes are not a picture, and the largest size of a picture."""

NO_IMAGE, DAMAGED, OTHER_PIXELS = "no image", "damaged", "unsupported pixels"
TOO_LARGE, TOO_MUCH_WORK = "too large", "too much work"


class NoPictureError(Exception):
    """Bytes that are not a picture: a `reason`, by which files are counted, and a `detail` that explains it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason, self.detail = reason, detail


def require_size(width: int, height: int, largest_pixels: int) -> None:
    """Raise NoPictureError when a picture has more pixels than wanted; to be called before a pixel is decoded."""
    if width * height > largest_pixels:
        raise NoPictureError(TOO_LARGE, f"{width} x {height} pixels, wanted at most {largest_pixels:,}")
