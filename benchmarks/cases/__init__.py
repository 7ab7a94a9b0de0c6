"""What `make bench` measures: for each part of the pipeline our way and the plain way to do the same work."""
