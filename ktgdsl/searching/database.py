"""The PostgreSQL database that the processes of a search share: its address, its transactions."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import Connection, MetaData, create_engine, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.orm import scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from ktgdsl.errors import RunError

LOCKS = 0x6B7467  # "ktg"
"""The first number of our advisory locks; the second is that of a study, or 0 for the tables."""

LONGEST = 120
"""Seconds that a transaction may wait for its process, before the database ends it."""

CONNECTION = {
    "connect_timeout": 10,
    "application_name": "ktgdsl",
    "client_encoding": "utf8",  # for a database without an encoding, too
    # So that a machine which is gone without a word does not keep others waiting for hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

DatabaseError = (SQLAlchemyError, StorageInternalError)
"""What Optuna and SQLAlchemy raise when the database fails them."""


class Database(RDBStorage):
    """Optuna's storage in a database, with transactions that hold several changes.

    A connection lasts as long as a transaction, so that a thousand processes do not use up those
    that the server allows. Raises RunError as `database_url` does, and one of `DatabaseError`.
    """

    def __init__(self, address: str, tables: MetaData) -> None:
        address = database_url(address).render_as_string(hide_password=False)
        options = {"poolclass": NullPool, "connect_args": CONNECTION}
        engine = create_engine(address, **options)
        with engine.begin() as connection:  # two processes at once would make tables twice
            _lock(connection, 0)
            super().__init__(address, engine_kwargs=options)
            tables.create_all(connection)
        self._outside = self.scoped_session

    @contextmanager
    def transaction(self, study: int = 0) -> Iterator[Connection]:
        """Have what Optuna and the caller change in a `with` block written at its end, or nothing.

        Other processes' transactions on the same study, 0 for none yet, wait until it is over. The
        database ends one whose process is gone or suspended.
        """
        with self.engine.begin() as connection:
            _lock(connection, study)
            # Optuna's own commits are none, and a rollback of its is that of all.
            inside = sessionmaker(connection, join_transaction_mode="rollback_only")
            self.scoped_session = scoped_session(inside)
            try:
                yield connection
            finally:
                self.scoped_session.remove()
                self.scoped_session = self._outside


def _lock(connection: Connection, study: int) -> None:
    longest = func.set_config("idle_in_transaction_session_timeout", f"{LONGEST}s", True)
    connection.execute(select(longest, func.pg_advisory_xact_lock(LOCKS, study)))


def database_url(address: str) -> URL:
    """The address of a PostgreSQL database, with the driver that is used.

    Raises RunError: for another database, or what is no address (E511), and where the driver is
    missing (E504). No message has the password.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise database_error("the address of the database cannot be read", _EXAMPLE) from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        kind = url.get_backend_name()
        message = f"processes share a search in a PostgreSQL database, not in one of `{kind}`"
        raise database_error(message, f"{_EXAMPLE}; one machine's search needs no database")
    if find_spec("psycopg") is None:
        raise RunError.single(
            "E504",
            "a search in a PostgreSQL database needs psycopg, which is not installed",
            help='pip install "psycopg[binary]", or ktgdsl with [postgres]',
        )
    return url.set(drivername="postgresql+psycopg")


_EXAMPLE = "write postgresql://USER@HOST/DATABASE"


def shown(address: str) -> str:
    """An address as it may be shown: without the password."""
    url = make_url(address)
    query = {name: value for name, value in url.query.items() if name != "password"}
    return url.set(query=query)._replace(password=None).render_as_string()


def database_error(message: str, help: str | None = None) -> RunError:
    """The error about the database of a search (E511)."""
    return RunError.single("E511", message, help=help)


def is_away(error: BaseException) -> bool:
    """Whether the database may answer again: it, the way to it or a transaction was cut off."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return isinstance(cause, OperationalError | InterfaceError | InternalError)


def reason(error: BaseException) -> str:
    """What the database has against something, in its own words: one line, without the address."""
    while isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
