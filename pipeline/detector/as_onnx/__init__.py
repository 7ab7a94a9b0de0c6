"""A detector as an ONNX file: one graph from pixels to the decision, and what stands beside it."""
