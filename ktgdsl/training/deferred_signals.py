"""Defers Ctrl-C and SIGTERM to the end of a block, so that no training step is left half done."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]
"""A Python handler of a signal: takes its number and the frame that it came in."""


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Call the handlers of SIGINT and SIGTERM after the block; of a second signal at once.

    Which signals are deferred, `caught_signals` says.
    """
    caught: list[int] = []

    def defer(number: int, frame: FrameType | None) -> None:
        if caught:
            handlers[number](number, frame)
        caught.append(number)

    with caught_signals(defer) as handlers:
        yield
    for number in caught:
        handlers[number](number, None)


@contextmanager
def caught_signals(catch: Handler) -> Iterator[Mapping[int, Handler]]:
    """Call `catch` in the block instead of the handlers of SIGINT and SIGTERM, which it yields.

    Only signals with a Python handler are caught, and only in the main thread, which runs them.
    """
    handlers: dict[int, Handler] = {}
    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(each)
            if callable(handler):
                handlers[each] = handler
                signal.signal(each, catch)
    try:
        yield handlers
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
