"""Stage `pretrained_teacher`: what a `transformers` image classifier says of the ID training images, computed once."""
