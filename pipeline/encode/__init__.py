"""Stage `encode@<set>`: one image set to latents."""
