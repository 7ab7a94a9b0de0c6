"""Tests mirror the modules of `pipeline`; their names are claims."""
