"""Tests of `pipeline.infer`."""
