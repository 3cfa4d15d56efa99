"""The verbs that train: run and search. They print."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from ktgdsl.verbs import FINE, USAGE, compile_given, overrides, require

if TYPE_CHECKING:
    from ktgdsl.searching.events import Listener as SearchListener
    from ktgdsl.spec import Compiled
    from ktgdsl.training.events import Listener


def run(options: argparse.Namespace) -> int:
    """Train a graph, or go on with a run that was cut off."""
    _rest_while_waiting()
    if options.resume is None:
        from ktgdsl.torch_backend.supported import require_supported

        compiled = compile_given(options)
        plan = require(require_supported, compiled)
        with listener(options.quiet) as told:
            from ktgdsl.training.run import run

            text = flattened(compiled, overrides(options))
            run(plan, out=options.out, device=options.device, listener=told, spec=text)
        return FINE
    if not _as_it_is(options, "run", ("epochs", "seed", "repeats", "out", "root")):
        return USAGE
    with listener(options.quiet) as told:
        from ktgdsl.training.run import resume

        resume(options.resume, device=options.device, listener=told)
    return FINE


def search(options: argparse.Namespace) -> int:
    """Find the best graph of a space, or go on with a search that was cut off."""
    _rest_while_waiting()
    how = {"workers": options.workers, "device": options.device}
    if options.resume is None:
        from ktgdsl.torch_backend.supported import require_searchable

        plan = require(require_searchable, compile_given(options))
        with search_listener(options.quiet) as told:
            from ktgdsl.searching.search import search

            search(plan, out=options.out, listener=told, **how)
        return FINE
    if not _as_it_is(options, "search", ("epochs", "seed", "repeats", "out", "root")):
        return USAGE
    with search_listener(options.quiet) as told:
        from ktgdsl.searching.search import resume

        resume(options.resume, listener=told, **how)
    return FINE


def _rest_while_waiting() -> None:
    """OpenMP threads that spin while they wait slow a run where other work shares the cores.

    The variable is read when torch is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _as_it_is(options: argparse.Namespace, verb: str, others: Sequence[str]) -> bool:
    """Whether nothing is given that would change what is gone on with; says so if it is."""
    given = [f"--{name}" for name in others if getattr(options, name)]
    if not options.set and not given:
        return True
    names = " and ".join([*(["--set"] if options.set else []), *given])
    what = f"--resume goes on with a {verb} as it is, without {names}"
    print(f"ktgc {verb}: {what}", file=sys.stderr)
    return False


def flattened(compiled: "Compiled", settings: Sequence[str]) -> str:
    """The spec as it was run, in one file: its own text, or the tree with all that came to it."""
    if not settings and len(compiled.sources) == 1:
        return next(iter(compiled.sources.values())).text
    from ktgdsl.language.format import format_file

    assert compiled.tree is not None
    told = "".join(f"# --set {setting}\n" for setting in settings)
    return f"{told}\n{format_file(compiled.tree)}"


def listener(quiet: bool) -> AbstractContextManager["Listener"]:
    """What shows a run: a live display in a terminal, else plain lines."""
    from ktgdsl.report.display import plain_listener, result_text, terminal_listener
    from ktgdsl.training.events import RunFinished

    return _listening(quiet, RunFinished, result_text, terminal_listener, plain_listener)


def search_listener(quiet: bool) -> AbstractContextManager["SearchListener"]:
    """What shows a search: a live display in a terminal, else plain lines."""
    from ktgdsl.report.search_display import (
        plain_search_listener,
        search_text,
        terminal_search_listener,
    )
    from ktgdsl.searching.events import SearchFinished

    return _listening(
        quiet, SearchFinished, search_text, terminal_search_listener, plain_search_listener
    )


@contextmanager
def _listening(
    quiet: bool,
    finished: type[Any],
    text: Callable[..., str],
    terminal: Callable[[], AbstractContextManager[Callable[[Any], None]]],
    plain: Callable[[Callable[[str], None]], Callable[[Any], None]],
) -> Iterator[Callable[[Any], None]]:
    """`text` of the event `finished` alone, or all that `terminal` or `plain` have to show."""

    def line(told: str) -> None:
        print(told, flush=True)

    def result_only(event: Any) -> None:
        if isinstance(event, finished):
            line(text(event.plan, event.result, already=event.already))

    if quiet:
        yield result_only
    elif sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        with terminal() as shown:
            yield shown
    else:
        yield plain(line)
