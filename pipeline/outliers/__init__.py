"""Synthetic outliers in latent space: synthesis, measurement, and stand-ins for OOD images."""
