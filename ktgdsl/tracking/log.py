"""A listener that logs runs and searches: to TensorBoard, MLflow, Weights & Biases, or CSV."""

from collections.abc import Callable
from importlib import import_module
from types import TracebackType
from typing import Self

from ktgdsl.errors import describe
from ktgdsl.extras import missing
from ktgdsl.report.formatting import one_line
from ktgdsl.searching.events import Event as SearchEvent
from ktgdsl.searching.events import SearchStarted
from ktgdsl.tracking.logged_run import State
from ktgdsl.tracking.run_log import RunLog
from ktgdsl.tracking.search_log import SearchLog
from ktgdsl.tracking.sink import Sink
from ktgdsl.tracking.tracker import Tracker
from ktgdsl.training.events import Event as RunEvent
from ktgdsl.training.events import RunFinished, RunStarted

TOOLS = {
    "tensorboard": "TensorboardSink",
    "mlflow": "MlflowSink",
    "wandb": "WandbSink",
    "csv": "CsvSink",
}
"""Tools, and the class in the module `ktgdsl.tracking.TOOL_sink`."""


class Log:
    """A listener for `run`, `resume` and `search` that `log_to` makes.

    As a context manager it marks what has not finished as failed, or as killed after Ctrl-C.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._log: RunLog | SearchLog | None = None

    def __call__(self, event: RunEvent | SearchEvent) -> None:
        """Log what an event says."""
        match event:
            case RunStarted():
                self._log = RunLog(self._tracker, event.plan, event.folder)
            case SearchStarted():
                self._log = SearchLog(self._tracker, event)
            case RunFinished(already=True):  # what a tool does not have yet is added
                self._log = RunLog(self._tracker, event.plan, event.result.folder)
        if self._log is not None:
            self._log(event)  # type: ignore[arg-type]  # of the run or the search that has begun

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        state: State = "failed" if isinstance(error, Exception) else "killed"
        reason = {} if error is None else {"reason": one_line(describe(error))}
        self._tracker.end_all(state, notes=reason)


def log_to(*tools: str) -> Log:
    """A listener that logs every metric of a run or a search, by node, edge and phase.

    ```python
    with ktgdsl.log_to("tensorboard", "csv") as log:
        ktgdsl.run(plan, listener=log)
    ```

    One run is logged for each seed, and for each trial of a search, into the folder of the run or
    to where the tool's own variables say. `specs/README.md` says which names the metrics have.

    A tool that fails later, as its server is away or the disk full, is warned of once (W401) and
    tried again every five minutes; the training goes on.

    Args:
        tools: "tensorboard", "mlflow", "wandb" or "csv".

    Raises:
        RunError: when the library of a tool is missing, or not logged in (E504).
        ValueError: when there is no such tool.
    """
    return Log(Tracker({tool: _sink(tool) for tool in tools}))


def _sink(tool: str) -> Sink:
    if tool not in TOOLS:
        raise ValueError(f"cannot log to {tool!r}: there are {', '.join(TOOLS)}")
    module = import_module(f"ktgdsl.tracking.{tool}_sink")
    make: Callable[[], Sink] = getattr(module, TOOLS[tool])
    try:
        return make()
    except ImportError as error:
        raise missing(f"logging to {tool}", tool, error) from None
