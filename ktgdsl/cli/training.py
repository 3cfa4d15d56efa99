"""What the verbs that train share: the process's environment, and who shows what happens."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from ktgdsl.searching.events import Listener as SearchListener
    from ktgdsl.training.events import Listener


def prepare_to_train() -> None:
    """Set the environment of a process that trains, before it imports torch."""
    # OpenMP's threads that spin while they wait slow a run where other work shares the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def run_listener(quiet: bool, stream: TextIO | None = None) -> AbstractContextManager["Listener"]:
    """Shows a run on stdout or `stream`: a live display in a terminal, else plain lines."""
    from ktgdsl.report.display import plain_listener, result_text, terminal_listener
    from ktgdsl.training.events import RunFinished

    return _listener(quiet, stream, RunFinished, result_text, terminal_listener, plain_listener)


def search_listener(
    quiet: bool, stream: TextIO | None = None
) -> AbstractContextManager["SearchListener"]:
    """Shows a search on stdout or `stream`: a live display in a terminal, else plain lines."""
    from ktgdsl.report.search_display import (
        plain_search_listener,
        search_text,
        terminal_search_listener,
    )
    from ktgdsl.searching.events import SearchFinished

    return _listener(
        quiet, stream, SearchFinished, search_text, terminal_search_listener, plain_search_listener
    )


@contextmanager
def _listener(
    quiet: bool,
    stream: TextIO | None,
    finished: type[Any],
    result_text: Callable[..., str],
    terminal: Callable[["Console"], AbstractContextManager[Callable[[Any], None]]],
    plain: Callable[[Callable[[str], None]], Callable[[Any], None]],
) -> Iterator[Callable[[Any], None]]:
    """When quiet `result_text` of the event `finished` alone, else what fits the stream."""
    shown_on = stream or sys.stdout

    def print_line(line: str) -> None:
        print(line, flush=True, file=shown_on)

    def result_only(event: Any) -> None:
        if isinstance(event, finished):
            print_line(result_text(event.plan, event.result, already=event.already))

    if quiet:
        yield result_only
    elif shown_on.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        with terminal(Console(file=shown_on)) as display:
            yield display
    else:
        yield plain(print_line)
