"""Text to tree and back: reading, parsing, formatting, overrides, includes. No torch."""
