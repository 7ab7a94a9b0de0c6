"""The verbs: one file per DVC stage, with its command and its work. Run one as `python -m stages.<name>`."""
