"""Notebook support: results with their graphs and curves, and the progress of a training."""
