"""What people read of a run: tables, metrics.json, plots, pictures and the page."""
