"""Read images: list their files, decode them, split them, and collect them in image sets."""
