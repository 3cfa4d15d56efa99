"""An error as data: its place in a source, its code with an explanation, and its renderers."""
