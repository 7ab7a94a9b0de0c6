"""Latents of image sets: encoded, standardised, and compared with each other."""
