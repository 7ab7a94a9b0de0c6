"""Tests of `pipeline.detector.as_onnx`."""
