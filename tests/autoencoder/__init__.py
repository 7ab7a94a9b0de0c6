"""Tests of `pipeline.autoencoder`."""
