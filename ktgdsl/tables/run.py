"""Runs the tasks that a row of a table still needs: a search, a run, or the resume of either."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from ktgdsl.compiler import locate_errors
from ktgdsl.errors import KtgError
from ktgdsl.flattened import flattened
from ktgdsl.searching import search as searching
from ktgdsl.searching.events import Listener as SearchListener
from ktgdsl.searching.trial_places import locating_listener
from ktgdsl.tables.model import Row
from ktgdsl.tables.status import Rerun, RowStatus, Task
from ktgdsl.training import run as training
from ktgdsl.training.events import Listener


@dataclass(frozen=True)
class Listeners:
    """Functions that make a listener for one run or one search, and one that says a line."""

    run: Callable[[], AbstractContextManager[Listener]]
    search: Callable[[], AbstractContextManager[SearchListener]]
    say: Callable[[str], object]


def run_row(rerun: Rerun, row: Row, listeners: Listeners, device: str | None = None) -> RowStatus:
    """Bring a row to its end; its status then, which holds the error if there was one.

    Raises KeyboardInterrupt on Ctrl-C; what was done is kept, and the next call resumes it.
    """
    status = rerun.status(row)
    try:
        if status.search is not None and status.search.state != "done":
            _search(status.search, listeners, device)
            status = rerun.status(row)
        if status.run is not None and status.run.state != "done":
            _run(status.run, listeners, device)
            status = rerun.status(row)
    except KtgError as error:
        return replace(rerun.status(row), error=error)
    return status


def _search(task: Task, listeners: Listeners, device: str | None) -> None:
    _set_aside(task, listeners)
    with locate_errors(task.compiled), listeners.search() as shown:
        listener = locating_listener(shown, task.compiled)
        if task.state in ("to do", "stale"):
            searching.search(task.plan, out=task.folder, device=device, listener=listener)
        else:
            searching.resume(task.folder, device=device, listener=listener)


def _run(task: Task, listeners: Listeners, device: str | None) -> None:
    _set_aside(task, listeners)
    with locate_errors(task.compiled), listeners.run() as listener:
        if task.state in ("to do", "stale"):
            spec = flattened(task.compiled, task.settings)
            training.run(task.plan, out=task.folder, device=device, listener=listener, spec=spec)
        else:
            training.resume(task.folder, device=device, listener=listener)


def _set_aside(task: Task, listeners: Listeners) -> None:
    """Move stale results aside, so that the folder can be used again."""
    if task.state == "stale":
        kept = task.set_aside()
        listeners.say(f"{task.folder} is trained again, since {task.stale}; it is kept as {kept}")
