"""Tests of `benchmarks.leaderboard`."""
