"""Stage `guard`: no image is on both sides of a comparison."""
