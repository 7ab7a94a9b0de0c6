"""Stage `autoencoder`: the model that turns images into latents, trained here or taken as it is."""
