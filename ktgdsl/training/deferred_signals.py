"""Defers Ctrl-C and SIGTERM to the end of a block, so that no training step is left half done."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Call the handlers of SIGINT and SIGTERM after the block; of a second signal at once.

    Only signals with a Python handler are deferred, and only in the main thread, which runs them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
    caught: list[int] = []

    def defer(number: int, frame: FrameType | None) -> None:
        if caught:
            handlers[number](number, frame)
        caught.append(number)

    for each in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(each)
        if callable(handler):
            handlers[each] = handler
            signal.signal(each, defer)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in caught:
        handlers[number](number, None)
