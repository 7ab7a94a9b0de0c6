"""Tests of every kind of encoder on photographs, from images to a prediction."""
