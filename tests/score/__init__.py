"""Tests of `pipeline.score`."""
