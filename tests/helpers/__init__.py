"""What tests are made with: small inputs, oracles, projects, remotes, and a warm Python."""
