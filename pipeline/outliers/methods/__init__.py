"""The synthesis methods, a file for each."""
