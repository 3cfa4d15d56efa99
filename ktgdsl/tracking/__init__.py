"""Experiment tracking: what happens in a run or a search, sent to TensorBoard and the like."""
