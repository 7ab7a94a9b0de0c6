"""Stage `score`: how well baseline and detector tell the known from the unknown."""
