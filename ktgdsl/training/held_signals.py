"""Ctrl-C and SIGTERM during a step: held back until the step is whole."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def held_back() -> Iterator[None]:
    """Let these signals do after the block what they would do in it; a second one does so at once.

    Only those that Python handles are held back, and only in the main thread, which handles them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
    caught: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if caught:
            handlers[number](number, frame)
        caught.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler):
            handlers[number] = handler
            signal.signal(number, hold)
    try:
        yield
    finally:
        for held, handler in handlers.items():
            signal.signal(held, handler)
    for held in caught:
        handlers[held](held, None)
