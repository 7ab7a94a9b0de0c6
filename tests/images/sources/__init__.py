"""Tests of `pipeline.images.sources`."""
