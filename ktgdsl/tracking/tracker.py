"""Logs runs with several tracking tools; a failure of one does not affect the others."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from ktgdsl.tracking.logged_run import LoggedRun, Row, State
from ktgdsl.tracking.outbox import Outbox
from ktgdsl.tracking.sink import Sink, Writer


class Tracked:
    """A logged run with all tools. `recorded` has the rows from before, for tools without them."""

    def __init__(
        self, run: LoggedRun, recorded: Iterable[Row], tools: Mapping[Sink, Outbox]
    ) -> None:
        self._run, self._recorded, self._tools = run, tuple(recorded), tools
        self._writers: dict[Sink, Writer] = {}
        for sink, outbox in tools.items():
            outbox.put(partial(self._begin, sink))
            outbox.attempt(partial(self._attach, sink))

    def log(self, row: Row) -> None:
        """Log an epoch, but to tools that have it."""
        self._put(lambda sink: self._log(sink, row))

    def end(self, state: State, summary: Mapping[str, float], notes: Mapping[str, str]) -> None:
        """End the run."""
        self._put(lambda sink: self._writers[sink].end(state, summary, notes))

    def _put(self, send: Callable[[Sink], None]) -> None:
        for sink, outbox in self._tools.items():
            outbox.put(partial(send, sink))

    def _begin(self, sink: Sink) -> None:
        if sink not in self._writers:
            self._writers[sink] = sink.begin(self._run)
        for row in self._recorded:
            self._log(sink, row)

    def _attach(self, sink: Sink) -> None:
        self._writers[sink].attach()

    def _log(self, sink: Sink, row: Row) -> None:
        writer = self._writers[sink]
        if row.epoch > writer.epoch:
            writer.log(row)
            writer.epoch = row.epoch


class Tracker:
    """The tools, and the logged runs that have begun and not ended."""

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self._tools = {sink: Outbox(name) for name, sink in sinks.items()}
        self._open: dict[str, Tracked] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._open

    def begin(self, run: LoggedRun, recorded: Iterable[Row] = ()) -> None:
        """Begin a run, or go on with it, with the rows from before."""
        self._open[run.key] = Tracked(run, recorded, self._tools)

    def log(self, key: str, row: Row) -> None:
        """Log an epoch of the run of a key."""
        self._open[key].log(row)

    def end(
        self,
        key: str,
        state: State,
        summary: Mapping[str, float] = {},
        notes: Mapping[str, str] = {},
    ) -> None:
        """End the run of a key, with what is about the whole of it."""
        self._open.pop(key).end(state, summary, notes)

    def end_all(
        self, state: State, summary: Mapping[str, float] = {}, notes: Mapping[str, str] = {}
    ) -> None:
        """End all runs, and the group that they are of, which has the summary."""
        for key in [*self._open]:
            self.end(key, state, {}, notes)
        for sink, outbox in self._tools.items():
            outbox.put(partial(sink.end_group, state, summary))
            outbox.flush()
