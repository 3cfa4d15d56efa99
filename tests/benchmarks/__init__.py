"""Measurements that take time; `python -m tests.benchmarks.NAME` runs one."""
