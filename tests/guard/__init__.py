"""Tests of `pipeline.guard`."""
