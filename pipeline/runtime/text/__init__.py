"""Text of users at the borders of the program: escapes, the terminal, figures."""
