"""Search: an Optuna study whose trials are points of a space, trained by worker processes."""
