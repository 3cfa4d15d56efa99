"""What one input may take: seconds of processor time, and memory."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SECONDS = 2.0
BYTES = 2**30


class TimeExceeded(BaseException):
    """An input takes longer than it may. No exception, so that what is judged does not catch it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeExceeded where the process computes for longer; waiting does not count."""

    def stop(*_: object) -> None:
        raise TimeExceeded

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def memory_limit(more: int = BYTES) -> Iterator[None]:
    """Let the process take so many bytes more than it has: MemoryError beyond, where Linux is."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        yield
        return
    taken = int(statm.read_text("ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(ValueError):  # a lower limit is set from outside
        resource.setrlimit(resource.RLIMIT_AS, (taken + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
