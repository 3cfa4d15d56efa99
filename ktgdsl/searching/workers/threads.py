"""The number of available cores, and of threads per worker of a search."""

import os
import sys


def cores() -> int:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_setting() -> int | None:
    """The value of OMP_NUM_THREADS, None if it is unset or not a positive number."""
    # One number per level of nested parallelism; the first is the outermost.
    setting = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(setting) if setting.isdecimal() and int(setting) > 0 else None


def threads_per_worker(workers: int) -> int:
    """The threads per worker: OMP_NUM_THREADS if set, else an equal share of the cores."""
    return threads_setting() or max(1, cores() // workers)
