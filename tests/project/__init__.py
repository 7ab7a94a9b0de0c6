"""Tests of the project as a whole: its structure, documents, and real runs."""
