"""Tests of `pipeline.quality`."""
