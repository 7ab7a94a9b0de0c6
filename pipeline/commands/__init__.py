"""The commands of `latent-outliers` that are no stages, one module per command."""
