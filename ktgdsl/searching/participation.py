"""Signs of life of a process that takes part in a shared search."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from ktgdsl.searching.claims import Claims
from ktgdsl.searching.database import Database, DatabaseError
from ktgdsl.searching.retries import Retries

BEAT = 10.0
"""Seconds between two signs of life."""


@contextmanager
def taking_part(claims: Claims, database: Database, retries: Retries) -> Iterator[None]:
    """Give signs of life meanwhile, and give back at the end what is not done."""
    over = Event()

    def beat() -> None:
        with database.engine.begin() as connection:
            claims.beat(connection)

    def beat_on() -> None:
        while not over.wait(BEAT):
            with suppress(*DatabaseError):
                beat()

    retries.do(beat)
    thread = Thread(target=beat_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(*DatabaseError), database.engine.begin() as connection:
            claims.leave(connection)
