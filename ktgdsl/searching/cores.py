"""The cores of this machine, and with how many threads each worker of a search computes."""

import os
import sys


def cores() -> int:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_each(workers: int) -> int:
    """What OMP_NUM_THREADS says where it is set, else the worker's share of the cores."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # one for each level
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return max(1, cores() // workers)
