"""The verbs that train: run and search. They print."""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from ktgdsl.cli.verbs import FINE, USAGE, compile_given, overrides, require

if TYPE_CHECKING:
    from rich.console import Console

    from ktgdsl.searching.events import Listener as SearchListener
    from ktgdsl.training.events import Listener


_KEPT = ("epochs", "seed", "repeats", "out", "root", "deterministic")
"""Options of what is begun that what is gone on with keeps."""


def run(options: argparse.Namespace) -> int:
    """Train a graph, or go on with a run that was cut off."""
    prepare_to_train()
    if options.resume is None:
        from ktgdsl.backend.supported import require_supported

        compiled = compile_given(options)
        plan = require(require_supported, compiled)
        with listener(options.quiet) as told:
            from ktgdsl.cli.formatting import flattened
            from ktgdsl.training.run import run

            text = flattened(compiled, overrides(options))
            how = {"device": options.device, "deterministic": options.deterministic}
            run(plan, out=options.out, listener=told, spec=text, **how)
        return FINE
    if not _as_it_is(options, "run"):
        return USAGE
    with listener(options.quiet) as told:
        from ktgdsl.training.run import resume

        resume(options.resume, device=options.device, listener=told)
    return FINE


def search(options: argparse.Namespace) -> int:
    """Find the best graph of a space, or go on with a search that was cut off."""
    prepare_to_train()
    how = {"workers": options.workers, "device": options.device}
    if options.resume is None:
        from ktgdsl.backend.supported import require_searchable

        plan = require(require_searchable, compile_given(options))
        with search_listener(options.quiet) as told:
            from ktgdsl.searching.search import search

            search(plan, out=options.out, listener=told, deterministic=options.deterministic, **how)
        return FINE
    if not _as_it_is(options, "search"):
        return USAGE
    with search_listener(options.quiet) as told:
        from ktgdsl.searching.search import resume

        resume(options.resume, listener=told, **how)
    return FINE


def prepare_to_train() -> None:
    """What is set for a process that trains, before it imports torch."""
    # OpenMP's threads that spin while they wait slow a run where other work shares the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    gc.enable()  # graphs refer to themselves


def _as_it_is(options: argparse.Namespace, verb: str) -> bool:
    """Whether nothing is given that would change what is gone on with; says so if it is."""
    given = [f"--{name}" for name in _KEPT if getattr(options, name)]
    if not options.set and not given:
        return True
    names = " and ".join([*(["--set"] if options.set else []), *given])
    what = f"--resume goes on with a {verb} as it is, without {names}"
    print(f"ktgc {verb}: {what}", file=sys.stderr)
    return False


def listener(quiet: bool, stream: TextIO | None = None) -> AbstractContextManager["Listener"]:
    """What shows a run on stdout or `stream`: a live display in a terminal, else plain lines."""
    from ktgdsl.report.display import plain_listener, result_text, terminal_listener
    from ktgdsl.training.events import RunFinished

    return _listening(quiet, stream, RunFinished, result_text, terminal_listener, plain_listener)


def search_listener(
    quiet: bool, stream: TextIO | None = None
) -> AbstractContextManager["SearchListener"]:
    """What shows a search on stdout or `stream`: a live display, or plain lines."""
    from ktgdsl.report.search_display import (
        plain_search_listener,
        search_text,
        terminal_search_listener,
    )
    from ktgdsl.searching.events import SearchFinished

    return _listening(
        quiet, stream, SearchFinished, search_text, terminal_search_listener, plain_search_listener
    )


@contextmanager
def _listening(
    quiet: bool,
    stream: TextIO | None,
    finished: type[Any],
    text: Callable[..., str],
    terminal: Callable[["Console"], AbstractContextManager[Callable[[Any], None]]],
    plain: Callable[[Callable[[str], None]], Callable[[Any], None]],
) -> Iterator[Callable[[Any], None]]:
    """`text` of the event `finished` alone, or all that `terminal` or `plain` have to show."""
    shown_on = stream or sys.stdout

    def line(told: str) -> None:
        print(told, flush=True, file=shown_on)

    def result_only(event: Any) -> None:
        if isinstance(event, finished):
            line(text(event.plan, event.result, already=event.already))

    if quiet:
        yield result_only
    elif shown_on.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        with terminal(Console(file=shown_on)) as shown:
            yield shown
    else:
        yield plain(line)
