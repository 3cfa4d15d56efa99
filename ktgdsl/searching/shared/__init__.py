"""Searches that several processes share by a PostgreSQL database."""
