"""Tests of `benchmarks.quality.peers`."""
