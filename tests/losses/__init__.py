"""Tests of `pipeline.losses`."""
