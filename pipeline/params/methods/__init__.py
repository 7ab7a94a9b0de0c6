"""Parameters of the synthesis methods, a file for each."""
