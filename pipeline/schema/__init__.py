"""How a section of params.yaml is declared and read."""
