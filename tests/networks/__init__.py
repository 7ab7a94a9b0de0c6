"""Tests of `pipeline.networks`."""
