"""The search: trials trained by worker processes, each of them one point of a space."""
