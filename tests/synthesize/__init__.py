"""Tests of `pipeline.synthesize`."""
