"""Tests of `pipeline.params and pipeline.schema`."""
