"""Stage `probe`: ID test images that only went through the autoencoder, or through JPEG."""
