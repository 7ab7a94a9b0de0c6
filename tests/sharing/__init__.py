"""Tests of `pipeline.sharing`."""
