"""Throw broken inputs at everything that reads files of strangers; `python -m benchmarks.fuzz --inputs N`."""
