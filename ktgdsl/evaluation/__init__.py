"""Evaluation of the networks that a run has trained."""
