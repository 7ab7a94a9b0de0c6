"""Stores in a revision of a repository or on a remote."""
