"""Tests: the specification of what the package does."""
