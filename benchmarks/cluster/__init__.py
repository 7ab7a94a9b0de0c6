"""A Ray cluster on one machine: its speed, what ranks reach on it, and the cluster itself for tests."""
