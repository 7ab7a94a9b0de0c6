"""One thin script per DVC stage; each parses its arguments and calls one function of `pipeline`."""
