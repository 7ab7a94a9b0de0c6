"""Encoded images: open the bytes of a file, with bounded work, and say why they are no picture."""
