"""Workers of a search as actors of a Ray cluster."""
