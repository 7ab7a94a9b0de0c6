"""Stage `train`: per seed a detector that learns from ID latents, outlier shards and its teacher."""
