"""The interfaces by which a pool starts workers (Engine) and talks to them (WorkerHandle)."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ktgdsl.searching.protocol import FromWorker, Report, Setup, Task, ToWorker


@dataclass
class RunningTrial:
    """A trial in training: its report that waits for a decision, and why attempts were lost."""

    task: Task
    pending: Report | None = None
    lost: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ending:
    """Why a worker has ended, in words, and whether something killed it from outside."""

    cause: str
    was_killed: bool


class WorkerHandle(ABC):
    """A worker and its state: starting, then idle, or training a trial.

    Attributes:
        number: of the worker in its pool, counted from 0.
        setup: its first message.
        started: whether it has been ready once.
        idle: whether it waits for a task.
        reported: whether it has reported an epoch of its trial.
        gone: whether it has ended.
        trial: the one that it trains.
        heard: the monotonic time of the last message from it or to it.
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
        """Whether the file has any output, of it or of an earlier worker with its number."""
        return self.log.exists() and self.log.stat().st_size > 0

    def silent_for(self) -> float:
        """Seconds since its last message; 0 while it waits for a task or a decision."""
        waiting = self.idle or (self.trial is not None and self.trial.pending is not None)
        return 0.0 if waiting else time.monotonic() - self.heard

    @property
    @abstractmethod
    def inbox(self) -> Any:
        """The object that its engine waits on, such as a connection; see `Engine.wait`."""

    @abstractmethod
    def send(self, message: ToWorker) -> None:
        """Send a message. A dead worker is noticed when it is read from."""

    @abstractmethod
    def read(self) -> Iterator[FromWorker]:
        """The messages that have arrived. Afterwards `gone` says whether the worker has ended."""

    @abstractmethod
    def terminate(self) -> None:
        """Ask it to end, and return at once."""

    @abstractmethod
    def end(self, patience: float = 0.0) -> Ending:
        """Wait for its end, and kill it after `patience` seconds."""


class Engine(Protocol):
    """Starts workers and waits for their messages."""

    def start(self, number: int, setup: Setup) -> WorkerHandle:
        """Start a worker."""

    def wait(self, inboxes: Sequence[Any], timeout: float) -> None:
        """Wait until there is a message in one of the `inboxes`, for `timeout` seconds at most."""
