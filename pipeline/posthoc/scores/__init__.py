"""The post-hoc scores, one module each."""
