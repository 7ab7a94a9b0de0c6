"""Tests of `pipeline.probe`."""
