"""How a pool starts workers (Engine) and exchanges messages with them (WorkerHandle)."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ktgdsl.searching.workers.protocol import FromWorker, Report, Setup, Task, ToWorker


@dataclass
class RunningTrial:
    """A trial in training: its report without a decision yet, and why attempts were lost."""

    task: Task
    pending: Report | None = None
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ending:
    """Why a worker ended, in words, and whether a signal killed it."""

    cause: str
    was_killed: bool


class WorkerHandle(ABC):
    """A worker and its state: starting, then idle, or training a trial.

    Attributes:
        number: of the worker in its pool, counted from 0.
        setup: its first message.
        started: whether it has sent its first Ready.
        idle: whether it waits for a task.
        reported: whether it has reported an epoch of its trial.
        gone: whether it has ended.
        trial: the trial that it trains, if any.
        heard: the monotonic time of the last message from or to it.
    """

    def __init__(self, number: int, setup: Setup) -> None:
        self.number = number
        self.setup = setup
        self.started = self.idle = self.reported = self.gone = False
        self.trial: RunningTrial | None = None
        self.heard = time.monotonic()

    @property
    def log(self) -> Path:
        """The file with its stdout and stderr."""
        return self.setup.folder / f"worker-{self.number}.log"

    @property
    def has_printed(self) -> bool:
        """Whether the log has any output, also from earlier workers with its number."""
        return self.log.exists() and self.log.stat().st_size > 0

    def silent_for(self) -> float:
        """The seconds since the last message; 0 while it waits for a task or a decision."""
        waiting = self.idle or (self.trial is not None and self.trial.pending is not None)
        return 0.0 if waiting else time.monotonic() - self.heard

    @property
    @abstractmethod
    def inbox(self) -> Any:
        """The object that its engine waits on, such as a connection; see `Engine.wait`."""

    @abstractmethod
    def send(self, message: ToWorker) -> None:
        """Send a message. If the worker is dead, `read` finds out."""

    @abstractmethod
    def read(self) -> Iterator[FromWorker]:
        """The messages that have arrived; afterwards `gone` is up to date."""

    @abstractmethod
    def terminate(self) -> None:
        """Ask the worker to end, without waiting for it."""

    @abstractmethod
    def end(self, patience: float = 0.0) -> Ending:
        """Wait up to `patience` seconds for it to end, then kill it."""


class Engine(Protocol):
    """Starts workers and waits for their messages."""

    def start(self, number: int, setup: Setup) -> WorkerHandle:
        """Start a worker."""

    def wait(self, inboxes: Sequence[Any], timeout: float) -> None:
        """Wait up to `timeout` seconds for a message in one of the `inboxes`."""
