"""Database transactions that are retried while the database cannot be reached."""

import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import TypeVar

from sqlalchemy import Connection

from ktgdsl.errors import RunError
from ktgdsl.searching.shared.database import (
    Database,
    DatabaseError,
    database_error,
    is_connection_error,
    reason,
    redacted,
)

GIVE_UP_AFTER = 300.0
"""Seconds for which a database that cannot be reached is tried again."""

BACKOFF = 0.5, 1.0, 2.0, 5.0
"""Seconds between two tries; the last one repeats."""

_Value = TypeVar("_Value")


class Retries:
    """Runs reads and transactions, and retries them while the database cannot be reached.

    Args:
        database: what is read and changed.
        reload: is called before a retry, since caches may hold what was rolled back.
    """

    def __init__(self, database: Database, reload: Callable[[], None]) -> None:
        self.notify: Callable[[str], object] = lambda _: None
        """Called with a message for the user, such as that the database cannot be reached."""
        self._database = database
        self._reload = reload
        self._connection: Connection | None = None  # in a transaction
        self._needs_reload = False

    def transact(self, study: int, change: Callable[[Connection], _Value]) -> _Value:
        """Run `change` in a transaction that holds the lock of the study.

        Raises RunError (E511) where the database cannot be reached for `GIVE_UP_AFTER` seconds, or
        refuses.
        """

        def attempt() -> _Value:
            with self._database.transaction(study) as connection:
                self._connection = connection
                try:
                    return change(connection)
                finally:
                    self._connection = None

        return self.run(attempt)

    def run(self, work: Callable[[], _Value]) -> _Value:
        """Run `work`, which uses the database; in a transaction just once. Raises as `transact`."""
        if self._connection is not None:
            return work()
        until = time.monotonic() + GIVE_UP_AFTER
        pauses = chain(BACKOFF, repeat(BACKOFF[-1]))
        is_notified = False
        while True:
            try:
                if self._needs_reload:
                    self._reload()
                    self._needs_reload = False
                return work()
            except DatabaseError as error:
                self._needs_reload = True
                if not is_connection_error(error) or time.monotonic() >= until:
                    raise database_unusable(self._database.url, error) from None
                if not is_notified:
                    self.notify(f"the database is away, and tried again: {reason(error)}")
                    is_notified = True
            except BaseException:
                self._needs_reload = True
                raise
            time.sleep(next(pauses))


def database_unusable(address: str, error: BaseException) -> RunError:
    """The error that a database cannot be used (E511)."""
    return database_error(f"the database {redacted(address)} cannot be used: {reason(error)}")
