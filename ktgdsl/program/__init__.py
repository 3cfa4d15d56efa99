"""The program of a training: what is computed when, compiled from a plan for the back end."""
