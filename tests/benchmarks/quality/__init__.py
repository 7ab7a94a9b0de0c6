"""Tests of `benchmarks.quality`."""
