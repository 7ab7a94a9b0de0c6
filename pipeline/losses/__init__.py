"""Loss functions that return one value per sample; the caller weights and averages the values."""
