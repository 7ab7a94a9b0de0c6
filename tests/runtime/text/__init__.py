"""Tests of `pipeline.runtime.text`."""
