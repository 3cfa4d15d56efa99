"""Faults, measured: kills, damaged files, full disks and a long search."""
