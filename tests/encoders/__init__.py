"""Tests of `pipeline.latents`."""
