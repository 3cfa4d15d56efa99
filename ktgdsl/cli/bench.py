"""The verb that measures a spec on this machine. It prints."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ktgdsl.cli.verbs import FINE, compile_given, require


def bench(options: argparse.Namespace) -> int:
    """Measure a spec, or a graph of a space, and say how long the whole takes."""
    from ktgdsl.backend.supported import require_searchable, require_supported
    from ktgdsl.cli.training_verbs import prepare_to_train

    prepare_to_train()
    compiled = compile_given(options)
    is_space = compiled.plan is not None and compiled.plan.space is not None
    plan = require(require_searchable if is_space else require_supported, compiled)
    from ktgdsl.report.bench import as_json, text

    with _progress() as told:
        from ktgdsl.bench.bench import bench

        found = bench(plan, device=options.device, seconds=options.seconds, progress=told)
    print(as_json(found) if options.json else text(found), end="")
    return FINE


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line on stderr in a terminal. Nothing draws meanwhile: that would be measured too."""
    shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def line(what: str) -> None:
        if shown:
            print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)

    try:
        yield line
    finally:
        line("")
