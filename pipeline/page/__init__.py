"""The page that a person reads: every result of a run in one HTML file."""
