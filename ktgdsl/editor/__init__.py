"""Editor support: completion, hover, rename and fixes for a text, and the language server."""
