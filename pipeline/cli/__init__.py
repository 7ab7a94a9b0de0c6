"""The `latent-outliers` command."""
