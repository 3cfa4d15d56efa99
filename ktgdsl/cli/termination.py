"""Turns SIGTERM, with which batch systems end a job, into an interrupt as by Ctrl-C."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Termination:
    """Handles SIGTERM. `received` says whether it has come."""

    received = False

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Let SIGTERM raise KeyboardInterrupt in the block, unless it has a handler already."""
        in_main = threading.current_thread() is threading.main_thread()
        if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            yield
            return
        signal.signal(signal.SIGTERM, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        raise KeyboardInterrupt
