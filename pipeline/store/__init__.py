"""The on-disk format of latents and outliers: plain zarr v3 plus a manifest, with a writer and a reader."""
