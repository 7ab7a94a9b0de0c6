"""Tests of `benchmarks.photographs`."""
