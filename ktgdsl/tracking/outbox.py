"""A queue of what is to be sent to a tracking tool: failures give one warning, and are retried."""

import time
from collections import deque
from collections.abc import Callable

from ktgdsl.errors import describe, warn
from ktgdsl.report.formatting import Clock, one_line

PAUSE = 300.0
"""Seconds after a failure before the next attempt."""


class Outbox:
    """Sends in order. No failure of a tool leaves it: no training ends because of one."""

    def __init__(self, tool: str, clock: Clock = time.monotonic) -> None:
        self._tool, self._clock = tool, clock
        self._waiting: deque[Callable[[], None]] = deque()
        self._pause_ends = 0.0
        self._warned = False

    def put(self, send: Callable[[], None]) -> None:
        """Send now, or when the tool works again; `send` may be called again after a failure."""
        self._waiting.append(send)
        if self._clock() >= self._pause_ends:
            self.flush()

    def attempt(self, send: Callable[[], None]) -> None:
        """As `put`, but what fails is given up."""

        def once() -> None:
            try:
                send()
            except Exception as error:
                self._warn(error)

        self.put(once)

    def flush(self) -> None:
        """Send what is waiting, until something fails."""
        try:
            while self._waiting:
                self._waiting[0]()
                self._waiting.popleft()
        except Exception as error:
            self._pause_ends = self._clock() + PAUSE
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            warn(
                "W401",
                f"{self._tool} cannot be logged to: {one_line(describe(error))}",
                help="the training goes on, and what is missing is tried again every five minutes; "
                f"once it is over, `--resume DIR --log {self._tool}` adds what is missing of a run",
            )
