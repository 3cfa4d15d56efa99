"""Transactions with a database that are made again while it is away."""

import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import TypeVar

from sqlalchemy import Connection

from ktgdsl.errors import RunError
from ktgdsl.searching.database import (
    Database,
    DatabaseError,
    database_error,
    is_away,
    reason,
    shown,
)

PATIENCE = 300.0
"""Seconds for which a database that is away is tried again."""

PAUSES = 0.5, 1.0, 2.0, 5.0
"""Seconds between these tries; the last again and again."""

_Value = TypeVar("_Value")


class Retries:
    """Reads and changes a database, again while it is away.

    Args:
        database: what is read and changed.
        reload: is called before another try, since what the process knows may be ahead of the
            database.
    """

    def __init__(self, database: Database, reload: Callable[[], None]) -> None:
        self.tell: Callable[[str], object] = lambda _: None
        """Is called with a sentence where the database is away."""
        self._database = database
        self._reload = reload
        self._connection: Connection | None = None  # in a transaction
        self._is_behind = False

    def change(self, study: int, change: Callable[[Connection], _Value]) -> _Value:
        """Make a change in a transaction of its own, alone on that study.

        Raises RunError (E511) where the database is away for longer than `PATIENCE`, or refuses.
        """

        def attempt() -> _Value:
            with self._database.transaction(study) as connection:
                self._connection = connection
                try:
                    return change(connection)
                finally:
                    self._connection = None

        return self.do(attempt)

    def do(self, work: Callable[[], _Value]) -> _Value:
        """Do something with the database; within a transaction just once. Raises as `change`."""
        if self._connection is not None:
            return work()
        until = time.monotonic() + PATIENCE
        pauses = chain(PAUSES, repeat(PAUSES[-1]))
        is_told = False
        while True:
            try:
                if self._is_behind:
                    self._reload()
                    self._is_behind = False
                return work()
            except DatabaseError as error:
                self._is_behind = True
                if not is_away(error) or time.monotonic() >= until:
                    raise unusable(self._database.url, error) from None
                if not is_told:
                    self.tell(f"the database is away, and tried again: {reason(error)}")
                    is_told = True
            except BaseException:
                self._is_behind = True
                raise
            time.sleep(next(pauses))


def unusable(address: str, error: BaseException) -> RunError:
    """The error that a database cannot be used (E511)."""
    return database_error(f"the database {shown(address)} cannot be used: {reason(error)}")
