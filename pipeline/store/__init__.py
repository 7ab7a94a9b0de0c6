"""The on-disk format of latents and outliers: plain zarr v3 plus a manifest; writer and reader side by side."""
