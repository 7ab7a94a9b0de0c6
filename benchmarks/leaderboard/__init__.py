"""How well OOD images are told: this pipeline's detectors beside other methods, on the same latents and networks."""
