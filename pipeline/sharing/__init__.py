"""Stores that are elsewhere: in a revision of a repository, or on a remote."""
