"""The number of cores, and of threads for each worker of a search."""

import os
import sys


def cores() -> int:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_each(workers: int) -> int:
    """The threads of each worker: OMP_NUM_THREADS where it is set, else its share of the cores."""
    # A number for each level of nested parallelism; the first is the outermost.
    setting = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if setting.isdecimal() and int(setting) > 0:
        return int(setting)
    return max(1, cores() // workers)
