"""A finished detector: what is in its folder, and how images are judged with it."""
