"""Does what is missing for a row of a table: searches, trains, or goes on with either."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from ktgdsl.compiler import flattened
from ktgdsl.errors import KtgError
from ktgdsl.searching import search as searching
from ktgdsl.searching.events import Listener as SearchListener
from ktgdsl.tables.model import Row
from ktgdsl.tables.standing import Desk, Standing, Task
from ktgdsl.training import run as training
from ktgdsl.training.events import Listener


@dataclass(frozen=True)
class Listening:
    """Who is told of runs and of searches: each makes a listener for one of them."""

    run: Callable[[], AbstractContextManager[Listener]]
    search: Callable[[], AbstractContextManager[SearchListener]]


def make(desk: Desk, row: Row, listening: Listening, device: str | None = None) -> Standing:
    """Brings a row to its end and says how it stands then; an error is in what it says.

    Raises KeyboardInterrupt on Ctrl-C; what was done is kept, and the next call goes on.
    """
    standing = desk.look(row)
    try:
        if standing.search is not None and standing.search.state != "done":
            _search(standing.search, listening, device)
            standing = desk.look(row)
        if standing.run is not None and standing.run.state != "done":
            _run(standing.run, listening, device)
            standing = desk.look(row)
    except KtgError as error:
        return replace(desk.look(row), error=error)
    return standing


def _search(task: Task, listening: Listening, device: str | None) -> None:
    with listening.search() as told:
        if task.state == "to do":
            searching.search(task.plan, out=task.folder, device=device, listener=told)
        else:
            searching.resume(task.folder, device=device, listener=told)


def _run(task: Task, listening: Listening, device: str | None) -> None:
    with listening.run() as told:
        if task.state == "to do":
            spec = flattened(task.compiled, task.settings)
            training.run(task.plan, out=task.folder, device=device, listener=told, spec=spec)
        else:
            training.resume(task.folder, device=device, listener=told)
