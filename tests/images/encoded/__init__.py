"""Tests of `pipeline.images.encoded`."""
