"""Plan to trained networks: data, the step, the loop, checkpoints and metrics."""
