"""What params.yaml may say: a file for each section, and the whole of it."""
