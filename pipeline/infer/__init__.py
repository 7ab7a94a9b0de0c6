"""Stage `infer`: what baseline and detector say of every image, as one table of post-hoc scores."""
