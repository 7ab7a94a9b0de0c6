"""`python -m pipeline` is the command `latent-outliers`."""

from pipeline.cli.main import main

main()
