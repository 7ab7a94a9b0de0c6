"""Encoders: frozen models from images to latents; an autoencoder also goes back."""
