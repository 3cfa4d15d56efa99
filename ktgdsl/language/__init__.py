"""Text to tree and back: reading, parsing, checking and rendering. No torch, no optuna."""
