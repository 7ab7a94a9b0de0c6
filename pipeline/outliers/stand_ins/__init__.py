"""Outliers that stand in for OOD images if a run has none."""
