"""The interface of tracking tools: a sink begins logged runs, a writer takes their rows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from ktgdsl.tracking.logged_run import LoggedRun, Row, State


class Writer(ABC):
    """Takes the rows of one logged run. Every method may raise whatever the tool raises.

    `epoch` is the last one that the tool has already, 0 for none; rows up to it are not logged.
    """

    epoch: int = 0

    def attach(self) -> None:  # noqa: B027
        """Add the spec and the picture, where the tool has files."""

    @abstractmethod
    def log(self, row: Row) -> None:
        """Log the numbers of an epoch, so that they last if the process is killed now."""

    @abstractmethod
    def end(self, state: State, summary: Mapping[str, float], notes: Mapping[str, str]) -> None:
        """End the run, with numbers and texts that are about the whole of it."""


class Sink(ABC):
    """A tracking tool. Making one raises ImportError where its library is missing."""

    @abstractmethod
    def begin(self, run: LoggedRun) -> Writer:
        """Begin a logged run, or go on with the one of that key and folder."""

    def end_group(self, state: State, summary: Mapping[str, float]) -> None:  # noqa: B027
        """End the group of the runs that were begun, if the tool has any such thing."""
