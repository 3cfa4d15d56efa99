"""The heartbeat of a process that takes part in a shared search."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ktgdsl.searching.shared.claims import Claims
from ktgdsl.searching.shared.database import Database, DatabaseError
from ktgdsl.searching.shared.retries import Retries
from ktgdsl.searching.workers.periodic import called_every

BEAT = 10.0
"""Seconds between two heartbeats."""


@contextmanager
def participating(claims: Claims, database: Database, retries: Retries) -> Iterator[None]:
    """Send heartbeats during a `with` block, and release at its end what is not done."""

    def beat() -> None:
        with database.engine.begin() as connection:
            claims.record_heartbeat(connection)

    def beat_unless_away() -> None:
        with suppress(*DatabaseError):
            beat()

    retries.run(beat)
    try:
        with called_every(BEAT, beat_unless_away):
            yield
    finally:
        with suppress(*DatabaseError), database.engine.begin() as connection:
            claims.release_all(connection)
