"""`ktgc bench`: measures a spec on this machine."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ktgdsl.backend.spec_or_space import require_space, require_spec
from ktgdsl.cli.compiling import compile_named, required_plan
from ktgdsl.cli.console import FINE, print_json, print_text, width
from ktgdsl.cli.options import add_device, add_overrides
from ktgdsl.cli.training import prepare_to_train, refuse_several_processes
from ktgdsl.compiler import locate_errors
from ktgdsl.diagnostics.render import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", metavar="SPEC")
    parser.add_argument("--json", action="store_true", help="as JSON, every number with its unit")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=10.0,
        metavar="N",
        help="about how long to measure, after warming up (default: 10)",
    )
    add_device(parser)
    add_overrides(parser)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"more than 0 is needed, not {text}")
    return number


def run(options: argparse.Namespace) -> int:
    """Measure a spec, or a graph of a space, and say how long the whole takes."""
    if (code := refuse_several_processes("bench")) is not None:
        return code
    prepare_to_train()
    compiled = compile_named(options)
    is_space = compiled.plan is not None and compiled.plan.space is not None
    plan = required_plan(compiled, require_space if is_space else require_spec)
    from ktgdsl.report.bench import bench_json, bench_text

    with locate_errors(compiled), _progress_line() as show:
        from ktgdsl.bench.bench import bench

        result = bench(plan, device=options.device, seconds=options.seconds, progress=show)
    if options.json:
        print_json(bench_json(result))
    else:
        print_text(bench_text(result, width()).removesuffix("\n"))
    return FINE


@contextmanager
def _progress_line() -> Iterator[Callable[[str], None]]:
    """A line on stderr in a terminal. Nothing draws meanwhile: that would be measured too."""
    shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def show(text: str) -> None:
        if shown:
            print(f"\r\x1b[K{printable(text)}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        show("")
