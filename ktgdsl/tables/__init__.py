"""Tables of results: what was run, runs against each other, published tables and their reruns."""
