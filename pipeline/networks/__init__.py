"""Networks as modules and as folders on disk."""
