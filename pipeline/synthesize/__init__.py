"""Stage `synthesize@<method>`: outliers made from ID latents, each row from (seed, method, row) alone."""
