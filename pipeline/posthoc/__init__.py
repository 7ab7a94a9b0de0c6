"""Evaluation of a trained network: post-hoc scores, their table, metrics, intervals and thresholds."""
