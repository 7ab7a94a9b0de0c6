"""Training: loops, objectives, batches of outliers, and one network per seed."""
