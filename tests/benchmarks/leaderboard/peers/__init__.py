"""Tests of `benchmarks.leaderboard.peers`."""
