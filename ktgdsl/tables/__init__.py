"""Published tables, rerun: their rows, what is done of them, and the comparison."""
