"""Shared by the verbs that train: the environment of the process, and listeners that print."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO, TypeVar

from ktgdsl.cli.console import print_text, rich_console, usage_error
from ktgdsl.cli.torchrun import speaks_for_all
from ktgdsl.errors import KtgError
from ktgdsl.report.run_text import discarded_text, plain_run_listener, run_warnings
from ktgdsl.report.search_text import plain_search_listener, search_warnings
from ktgdsl.searching.events import Event as SearchEvent
from ktgdsl.searching.events import Listener as SearchListener
from ktgdsl.searching.events import SearchFinished
from ktgdsl.training.events import Event, Listener, RunDiscarded, RunFinished, ignore


def prepare_to_train() -> None:
    """Set the environment of a process that trains, before it imports torch."""
    # OpenMP's threads that spin while they wait slow a run where other work shares the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def refuse_several_processes(verb: str) -> int | None:
    """The exit code where `torchrun` has started several processes, which `run` alone can use."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return None
    return usage_error(
        verb,
        "several processes of torchrun train one graph, with `ktgdsl run`; "
        "a search uses a machine's GPUs and cores with `--workers`, many machines' with "
        "`--engine ray`",
    )


def run_listener(quiet: bool, stream: TextIO | None = None) -> AbstractContextManager[Listener]:
    """Shows a run on stdout or `stream`: a live table in a terminal, else plain lines.

    When quiet it shows the result alone, and what has to be known of it on stderr.
    """
    stream = stream or sys.stdout
    if not speaks_for_all():
        return nullcontext(ignore)
    if not quiet and _is_terminal(stream):
        from ktgdsl.report.run_display import terminal_run_listener

        return terminal_run_listener(rich_console(stream))
    listener = plain_run_listener(_print_line(stream))

    def result_only(event: Event) -> None:
        warn_of_run(event)
        if isinstance(event, RunFinished):
            listener(event)

    return nullcontext(result_only if quiet else listener)


@contextmanager
def discarded_last() -> Iterator[Callable[[Listener], Listener]]:
    """That nothing is kept of a failed run becomes a note of its error, which is printed first.

    What it gives wraps the listener of the run.
    """
    discarded: list[RunDiscarded] = []

    def wrapped(listener: Listener) -> Listener:
        def listen(event: Event) -> None:
            if isinstance(event, RunDiscarded):
                discarded.append(event)
            else:
                listener(event)

        return listen

    try:
        yield wrapped
    except KtgError as error:
        for each in discarded:
            error.add_note(discarded_text(each))
        raise


_Event = TypeVar("_Event", Event, SearchEvent)


@contextmanager
def logged(
    showing: AbstractContextManager[Callable[[_Event], None]], tools: Sequence[str]
) -> Iterator[Callable[[_Event], None]]:
    """A listener that logs to tools, if there are any, besides showing what happens.

    Raises RunError (E504) before anything is trained when a tool's library is missing.
    """
    if not tools:
        with showing as show:
            yield show
        return
    from ktgdsl.tracking.log import log_to

    with log_to(*dict.fromkeys(tools)) as log, showing as show:

        def listen(event: _Event) -> None:
            show(event)
            log(event)

        yield listen


def warn_of_run(event: Event) -> None:
    """Print the warnings of a run on stderr."""
    for line in run_warnings(event):
        print_text(line, sys.stderr)


def search_listener(
    quiet: bool, stream: TextIO | None = None
) -> AbstractContextManager[SearchListener]:
    """Shows a search, in the same ways as `run_listener`."""
    stream = stream or sys.stdout
    if not quiet and _is_terminal(stream):
        from ktgdsl.report.search_display import terminal_search_listener

        return terminal_search_listener(rich_console(stream))
    listener = plain_search_listener(_print_line(stream))

    def result_only(event: SearchEvent) -> None:
        warn_of_search(event)
        if isinstance(event, SearchFinished):
            listener(event)

    return nullcontext(result_only if quiet else listener)


def warn_of_search(event: SearchEvent) -> None:
    """Print the warnings of a search on stderr."""
    for line in search_warnings(event):
        print_text(line, sys.stderr)


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _print_line(stream: TextIO) -> Callable[[str], None]:
    return lambda line: print_text(line, stream)
