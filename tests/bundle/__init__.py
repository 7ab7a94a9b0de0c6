"""Tests of `pipeline.bundle`."""
