"""Tests of `pipeline.posthoc`."""
