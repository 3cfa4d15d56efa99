"""The workers of a search: their pool, messages, training and checkpoints."""
