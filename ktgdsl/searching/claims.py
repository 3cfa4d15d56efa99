"""Claims: which process of a shared search trains what, as tables beside those of Optuna.

ktgdsl_processes   who takes part, and when each was last heard of
ktgdsl_trials      a line for each trial of the budget, with its graph and who trains it
ktgdsl_checks      a line for each training that judges the result

The keys of the tables hold the budget and that no graph is tried twice, whatever processes do.
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

GRACE = 60.0
"""Seconds without a sign of life after which a process counts as lost."""

ATTEMPTS = 3
"""How many processes may be lost with a trial, or a check, before it fails."""

PROCESSES = Table(
    "ktgdsl_processes",
    TABLES,
    Column("process", String(36), primary_key=True),
    Column("study_id", Integer, nullable=False),
    Column("host", String(255), nullable=False),
    Column("heard", DateTime(timezone=True), nullable=False),
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
    """A line of `ktgdsl_trials` that nobody alive holds: it was `lost`, or else given back."""

    number: int
    trial_id: int
    attempt: int
    lost: bool

    @property
    def has_failed(self) -> bool:
        """Whether so many processes were lost with it that no other tries."""
        return self.lost and self.attempt >= ATTEMPTS


class Claims:
    """The claims of this process in a study. Connections are in transactions on that study.

    Args:
        study: its id.
    """

    def __init__(self, study: int) -> None:
        self.process = str(uuid4())
        self._study = study

    def beat(self, connection: Connection) -> None:
        """Give a sign of life."""
        now = func.clock_timestamp()
        line = {"process": self.process, "study_id": self._study, "host": socket.gethostname()}
        statement = upsert(PROCESSES).values(**line, heard=now)
        again = statement.on_conflict_do_update(index_elements=["process"], set_={"heard": now})
        connection.execute(again)

    def leave(self, connection: Connection) -> None:
        """Give back all claims, and take part no more."""
        for table in (TRIALS, CHECKS):
            connection.execute(
                update(table).where(table.c.process == self.process).values(process=None)
            )
        connection.execute(delete(PROCESSES).where(PROCESSES.c.process == self.process))

    def count(self, connection: Connection) -> int:
        """How much of the budget is claimed: the number of the next trial."""
        lines = select(func.count()).where(TRIALS.c.study_id == self._study)
        return int(connection.execute(lines).scalar_one())

    def add(
        self, connection: Connection, number: int, budget: int, graph: str | None, trial_id: int
    ) -> None:
        """Claim the next trial. Raises IntegrityError beyond the budget, or for a known graph."""
        line = {"study_id": self._study, "number": number, "budget": budget, "graph": graph}
        more = {"trial_id": trial_id, "attempt": 1, "process": self.process}
        connection.execute(insert(TRIALS).values(**line, **more))

    def holds(self, connection: Connection, number: int) -> bool:
        """Whether this process still has the trial."""
        line = select(TRIALS.c.process).where(self._trial(number))
        return bool(connection.execute(line).scalar_one() == self.process)

    def free(
        self, connection: Connection, running: Collection[int], held: Collection[int]
    ) -> list[Claim]:
        """The trials under way that nobody alive trains.

        Args:
            connection: of a transaction.
            running: Optuna's ids of the trials that are not over.
            held: the numbers of those that this process knows that it has. A claim whose
                confirmation was lost with the connection is free again.
        """
        columns = TRIALS.c.number, TRIALS.c.trial_id, TRIALS.c.attempt, self._lost(TRIALS)
        mine = and_(TRIALS.c.process == self.process, TRIALS.c.number.not_in(held))
        found = (
            select(*columns)
            .where(TRIALS.c.study_id == self._study, TRIALS.c.trial_id.in_(running))
            .where(or_(TRIALS.c.process.is_(None), mine, self._lost(TRIALS)))
            .order_by(TRIALS.c.number)
        )
        return [Claim(*line) for line in connection.execute(found)]

    def take(self, connection: Connection, claim: Claim, trial_id: int) -> None:
        """Take a free trial, which has another id with Optuna from now on."""
        values = {"process": self.process, "trial_id": trial_id}
        if claim.lost:
            values["attempt"] = claim.attempt + 1
        connection.execute(update(TRIALS).where(self._trial(claim.number)).values(**values))

    def take_check(self, connection: Connection, key: str) -> int | None:
        """Take a check if no other that is alive has it; the attempt that this is, or None.

        0 says that `ATTEMPTS` were lost with their processes, and that it is not taken.
        """
        this = and_(CHECKS.c.study_id == self._study, CHECKS.c.key == key)
        columns = CHECKS.c.attempt, CHECKS.c.process, self._lost(CHECKS)
        line = connection.execute(select(*columns).where(this)).one_or_none()
        if line is None:
            values = {"study_id": self._study, "key": key, "process": self.process}
            connection.execute(insert(CHECKS).values(**values, attempt=1))
            return 1
        attempt, process, lost = line
        if process not in (None, self.process) and not lost:
            return None
        if attempt + lost > ATTEMPTS:
            return 0
        again = {"process": self.process, "attempt": attempt + lost}
        connection.execute(update(CHECKS).where(this).values(**again))
        return int(attempt + lost)

    def _trial(self, number: int) -> ColumnElement[bool]:
        return and_(TRIALS.c.study_id == self._study, TRIALS.c.number == number)

    def _lost(self, table: Table) -> ColumnElement[bool]:
        """Whether the process of a line was not heard of for too long.

        While the database was away nobody could be heard.
        """
        since = func.greatest(PROCESSES.c.heard, func.pg_postmaster_start_time())
        alive = select(PROCESSES.c.process).where(
            since > func.clock_timestamp() - text(f"interval '{GRACE} seconds'")
        )
        return and_(table.c.process.is_not(None), table.c.process.not_in(alive))
