"""Data sets: found and read from files or the user's code, and cut into splits."""
