"""Open values to a search space: its draws, the plan at a point, and its exact size. No torch."""
