"""Data sets: reading them from files or the user's code, and the parts that splits need."""
