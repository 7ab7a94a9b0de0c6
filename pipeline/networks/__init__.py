"""Classifiers that read latents."""
