"""The benchmark of a user's spec: its measurements, and the duration that they predict."""
