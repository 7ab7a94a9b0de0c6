"""Tests of `pipeline.page`."""
