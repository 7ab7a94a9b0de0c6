"""Tests of `pipeline.images`."""
