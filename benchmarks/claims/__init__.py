"""What docs/claims.md says was measured."""
