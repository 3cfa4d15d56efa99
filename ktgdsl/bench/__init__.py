"""The benchmark of a user's own spec: what is measured, how, and what it predicts."""
