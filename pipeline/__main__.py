"""`python -m pipeline` is the command `latent-outliers`."""

from pipeline.cli import main

main()
