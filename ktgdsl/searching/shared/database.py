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
from ktgdsl.extras import missing

LOCK_NAMESPACE = 0x6B7467  # "ktg"
"""The first number of our advisory locks; the second is that of a study, or 0 for the tables."""

IDLE_TIMEOUT = 120
"""Seconds after which the database ends a transaction whose process does nothing."""

CONNECTION = {
    "connect_timeout": 10,
    "application_name": "ktgdsl",
    "client_encoding": "utf8",  # for a database without an encoding, too
    # TCP would notice only after hours that a machine is gone.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

DatabaseError = (SQLAlchemyError, StorageInternalError)
"""What Optuna and SQLAlchemy raise where the database fails."""


class Database(RDBStorage):
    """Optuna's RDBStorage, with transactions around several of its methods.

    A connection is open during a transaction only, so that many processes stay within the
    connections that the server allows. Raises RunError as `database_url` does, and one of
    `DatabaseError`.
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
        """Commit all changes of a `with` block at its end, Optuna's too, or none if it raises.

        An advisory lock admits one transaction on a study at a time; `study` is 0 before there is
        one. The database ends a transaction whose process is gone or suspended.
        """
        with self.engine.begin() as connection:
            _lock(connection, study)
            # Commits of Optuna's do nothing; a rollback of Optuna's rolls everything back.
            inside = sessionmaker(connection, join_transaction_mode="rollback_only")
            self.scoped_session = scoped_session(inside)
            try:
                yield connection
            finally:
                self.scoped_session.remove()
                self.scoped_session = self._outside


def _lock(connection: Connection, study: int) -> None:
    longest = func.set_config("idle_in_transaction_session_timeout", f"{IDLE_TIMEOUT}s", True)
    connection.execute(select(longest, func.pg_advisory_xact_lock(LOCK_NAMESPACE, study)))


def database_url(address: str) -> URL:
    """The address of a PostgreSQL database, with the driver that is used.

    Raises RunError: for another database, or what is no address (E511), and where the driver is
    missing (E504). No message has the password.
    """
    try:
        url = make_url(address)
        if "@" in f"{url.host}{url.database}":  # a part of a password
            raise ArgumentError
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        help = f"{_EXAMPLE}; in a password `@` is %40, and `%` %25"
        raise database_error("the address of the database cannot be read", help) from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        kind = url.get_backend_name()
        message = f"processes share a search in a PostgreSQL database, not in one of `{kind}`"
        raise database_error(message, f"{_EXAMPLE}; one machine's search needs no database")
    if find_spec("psycopg") is None:
        raise missing("a search in a PostgreSQL database", "postgres")
    return url.set(drivername="postgresql+psycopg")


_SECRET = "password", "sslpassword"
_EXAMPLE = "write postgresql://USER@HOST/DATABASE"


def redacted(address: str) -> str:
    """An address without the password, for messages."""
    url = make_url(address)
    query = {name: value for name, value in url.query.items() if name not in _SECRET}
    return url.set(query=query)._replace(password=None).render_as_string()


def database_error(message: str, help: str | None = None) -> RunError:
    """The error about the database of a search (E511)."""
    return RunError.single("E511", message, help=help)


def is_connection_error(error: BaseException) -> bool:
    """Whether a retry may help: the server, the connection or the transaction was cut off."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return isinstance(cause, OperationalError | InterfaceError | InternalError)


def reason(error: BaseException) -> str:
    """The first line of the database's own message, which does not have the address."""
    while isinstance(error, StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
