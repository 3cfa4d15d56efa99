"""Calls a function again and again, from a thread, while something else is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import Event, Thread


@contextmanager
def called_every(
    seconds: float, function: Callable[[], object], limit: float = inf
) -> Iterator[None]:
    """Call a function every so many seconds during a `with` block, for `limit` seconds at most."""
    ended = Event()

    def call() -> None:
        passed = seconds
        while passed <= limit and not ended.wait(seconds):
            function()
            passed += seconds

    thread = Thread(target=call, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
