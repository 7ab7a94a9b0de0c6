"""Stage `denoiser`: a class-conditional latent diffusion model, trained on the ID latents."""
