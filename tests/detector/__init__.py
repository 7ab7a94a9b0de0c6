"""Tests of `pipeline.detector`."""
