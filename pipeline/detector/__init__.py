"""The finished detector: the bundle folder it is stored in, and prediction for images with it."""
