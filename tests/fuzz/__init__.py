"""Random inputs for all that reads text: `python -m tests.fuzz`."""
