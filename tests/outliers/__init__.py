"""Tests of `pipeline.outliers`."""
