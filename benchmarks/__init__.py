"""Measurements: speed as ratios side by side in one run, never as timed tests."""
