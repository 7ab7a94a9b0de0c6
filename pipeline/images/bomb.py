"""How large a picture may be; what every stage and every process that reads images has to know."""

LARGEST_PIXELS = 89_478_485
"""Width times height; from there on Pillow itself takes a file for a decompression bomb."""
