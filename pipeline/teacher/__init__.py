"""Stage `teacher`: per seed a classifier trained with cross-entropy alone, the baseline of every report."""
