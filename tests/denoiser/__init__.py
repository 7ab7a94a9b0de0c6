"""Tests of `pipeline.denoiser`."""
