"""Claims: which process of a shared search trains what, in tables beside those of Optuna.

ktgdsl_processes   the processes that take part, with their last heartbeats
ktgdsl_trials      a row for each trial of the budget, with its graph and the process that trains it
ktgdsl_checks      a row for each training that judges the result

Constraints of the tables guarantee the budget, and that no graph is tried twice.
"""

import socket
from collections.abc import Collection
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

TABLES = MetaData()

HEARTBEAT_TIMEOUT = 60.0
"""Seconds without a heartbeat after which a process counts as lost."""

MAX_ATTEMPTS = 3
"""How many processes may be lost with a trial, or a check, before it fails."""

PROCESSES = Table(
    "ktgdsl_processes",
    TABLES,
    Column("process", String(36), primary_key=True),
    Column("study_id", Integer, nullable=False),
    Column("host", String(255), nullable=False),
    Column("last_heartbeat", DateTime(timezone=True), nullable=False),
)

TRIALS = Table(
    "ktgdsl_trials",
    TABLES,
    Column("study_id", Integer, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("budget", Integer, nullable=False),
    Column("graph", String(64)),
    Column("trial_id", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("process", String(36)),
    CheckConstraint("number >= 0 AND number < budget", name="ktgdsl_within_budget"),
    UniqueConstraint("study_id", "graph", name="ktgdsl_each_graph_once"),
)

CHECKS = Table(
    "ktgdsl_checks",
    TABLES,
    Column("study_id", Integer, primary_key=True),
    Column("key", String(512), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("process", String(36)),
)


@dataclass(frozen=True)
class Claim:
    """A running trial that no live process holds: its process was `lost`, or else released it."""

    number: int
    trial_id: int
    attempt: int
    lost: bool

    @property
    def has_failed(self) -> bool:
        """Whether too many processes were lost with it for another attempt."""
        return self.lost and self.attempt >= MAX_ATTEMPTS


class Claims:
    """The claims of this process in a study. Every method is called in a transaction on the study.

    Args:
        study: its id.
    """

    def __init__(self, study: int) -> None:
        self.process = str(uuid4())
        self._study = study

    def record_heartbeat(self, connection: Connection) -> None:
        """Insert or update the heartbeat of this process."""
        now = func.clock_timestamp()
        row = {"process": self.process, "study_id": self._study, "host": socket.gethostname()}
        statement = upsert(PROCESSES).values(**row, last_heartbeat=now)
        again = statement.on_conflict_do_update(
            index_elements=["process"], set_={"last_heartbeat": now}
        )
        connection.execute(again)

    def release_all(self, connection: Connection) -> None:
        """Release all claims of this process, and remove it."""
        for table in (TRIALS, CHECKS):
            connection.execute(
                update(table).where(table.c.process == self.process).values(process=None)
            )
        connection.execute(delete(PROCESSES).where(PROCESSES.c.process == self.process))

    def count(self, connection: Connection) -> int:
        """How many trials of the budget have begun, which is the number of the next."""
        rows = select(func.count()).where(TRIALS.c.study_id == self._study)
        return int(connection.execute(rows).scalar_one())

    def add(
        self, connection: Connection, number: int, budget: int, graph: str | None, trial_id: int
    ) -> None:
        """Claim a new trial. Raises IntegrityError beyond the budget, or for a known graph."""
        row = {"study_id": self._study, "number": number, "budget": budget, "graph": graph}
        more = {"trial_id": trial_id, "attempt": 1, "process": self.process}
        connection.execute(insert(TRIALS).values(**row, **more))

    def holds(self, connection: Connection, number: int) -> bool:
        """Whether this process still holds the trial."""
        row = select(TRIALS.c.process).where(self._trial(number))
        return bool(connection.execute(row).scalar_one() == self.process)

    def unclaimed(
        self, connection: Connection, running: Collection[int], held: Collection[int]
    ) -> list[Claim]:
        """The running trials that no live process holds.

        Args:
            connection: of a transaction.
            running: Optuna's ids of the running trials.
            held: the numbers of those that this process knows it holds. Where it made a claim but
                lost the connection before the commit was confirmed, that trial is unclaimed.
        """
        columns = TRIALS.c.number, TRIALS.c.trial_id, TRIALS.c.attempt, self._is_lost(TRIALS)
        mine = and_(TRIALS.c.process == self.process, TRIALS.c.number.not_in(held))
        rows = (
            select(*columns)
            .where(TRIALS.c.study_id == self._study, TRIALS.c.trial_id.in_(running))
            .where(or_(TRIALS.c.process.is_(None), mine, self._is_lost(TRIALS)))
            .order_by(TRIALS.c.number)
        )
        return [Claim(*row) for row in connection.execute(rows)]

    def acquire(self, connection: Connection, claim: Claim, trial_id: int) -> None:
        """Claim an unclaimed trial, whose new attempt is the Optuna trial `trial_id`."""
        values = {"process": self.process, "trial_id": trial_id}
        if claim.lost:
            values["attempt"] = claim.attempt + 1
        connection.execute(update(TRIALS).where(self._trial(claim.number)).values(**values))

    def acquire_check(self, connection: Connection, key: str) -> int | None:
        """Claim a check; the number of the attempt, or None where a live process holds it.

        0 where it is not claimed, as `MAX_ATTEMPTS` processes were lost with it.
        """
        this = and_(CHECKS.c.study_id == self._study, CHECKS.c.key == key)
        columns = CHECKS.c.attempt, CHECKS.c.process, self._is_lost(CHECKS)
        row = connection.execute(select(*columns).where(this)).one_or_none()
        if row is None:
            values = {"study_id": self._study, "key": key, "process": self.process}
            connection.execute(insert(CHECKS).values(**values, attempt=1))
            return 1
        attempt, process, lost = row
        if process not in (None, self.process) and not lost:
            return None
        if attempt + lost > MAX_ATTEMPTS:
            return 0
        again = {"process": self.process, "attempt": attempt + lost}
        connection.execute(update(CHECKS).where(this).values(**again))
        return int(attempt + lost)

    def _trial(self, number: int) -> ColumnElement[bool]:
        return and_(TRIALS.c.study_id == self._study, TRIALS.c.number == number)

    def _is_lost(self, table: Table) -> ColumnElement[bool]:
        """Whether the process of a row has sent no heartbeat for too long.

        The timeout starts anew when the server does, as heartbeats could not arrive before.
        """
        since = func.greatest(PROCESSES.c.last_heartbeat, func.pg_postmaster_start_time())
        alive = select(PROCESSES.c.process).where(
            since > func.clock_timestamp() - text(f"interval '{HEARTBEAT_TIMEOUT} seconds'")
        )
        return and_(table.c.process.is_not(None), table.c.process.not_in(alive))
