"""Teach an image classifier what it does not know, with outliers made in latent space."""
