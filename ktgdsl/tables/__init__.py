"""Published tables and their reruns: rows, status, cost, and the comparison."""
