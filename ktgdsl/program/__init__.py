"""The program of a training: what is computed when, between a plan and its code."""
