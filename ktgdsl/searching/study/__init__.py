"""The Optuna study of a search: its journal, samplers and pruners."""
