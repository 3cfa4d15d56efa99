"""The command line: verbs, what they print, and exit codes. Only here is printed or exited."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from ktgdsl.errors import KtgError

if TYPE_CHECKING:
    from ktgdsl.language.diagnostic import Diagnostic
    from ktgdsl.language.render import Style
    from ktgdsl.language.source import Source
    from ktgdsl.plan.model import Plan
    from ktgdsl.spec import Compiled
    from ktgdsl.training.events import Listener

FINE, AT_FAULT, USAGE, OUR_BUG, INTERRUPTED = 0, 1, 2, 70, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code.

    0 is fine, 1 the spec or the run is at fault, 2 the command line is, 70 is a bug of
    ours, 130 an interrupt.
    """
    options = _parser().parse_args(arguments)
    verb: Callable[[argparse.Namespace], int] = options.verb
    try:
        code = verb(options)
        sys.stdout.flush()
        return code
    except KtgError as error:
        _report(error, options.output_format, sys.stderr)
        return AT_FAULT
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt}" if str(interrupt) else "\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads on: point stdout elsewhere, or its last flush complains too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except Exception:
        import traceback

        traceback.print_exc()
        print(
            "ktgc: this is a bug in ktgdsl, not in your spec. Please report it with the lines "
            "above, the command and the spec.",
            file=sys.stderr,
        )
        return OUR_BUG


def _check(options: argparse.Namespace) -> int:
    from ktgdsl.language.diagnostic import has_errors
    from ktgdsl.language.render import render, summary
    from ktgdsl.spec import compile_file

    found: list[Diagnostic] = []
    sources: dict[str, Source] = {}
    for path in options.files:
        compiled = compile_file(path, _settings(options))
        found += compiled.diagnostics
        sources.update(compiled.sources)
    style = options.output_format
    text = render(found, sources, style, _colour(sys.stdout), _width())
    if text:
        print(text)
    if style == "full":
        count = len(options.files)
        files = f"{count} file{'s' if count > 1 else ''} checked"
        print(("\n" if found else "") + f"{files}: {summary(found)}")
    return AT_FAULT if has_errors(found) else FINE


def _plan(options: argparse.Namespace) -> int:
    plan = _loaded(options)
    if options.json:
        import json

        facts = json.loads(plan.to_json())
        print(json.dumps({**facts, "digest": plan.digest}, indent=2, ensure_ascii=False))
    else:
        from ktgdsl.report.describe import describe

        print(describe(plan), end="")
    return FINE


def _build(options: argparse.Namespace) -> int:
    compiled = _compiled(options)
    if options.emit == "tree" and compiled.tree is not None:
        print(compiled.tree.model_dump_json(indent=2, exclude_none=True))
        return FINE
    plan = _plan_of(compiled)
    if options.emit == "plan":
        print(plan.to_json(), end="")
    else:
        from ktgdsl.torch_backend.graph import build

        print(build(plan).code, end="")
    return FINE


def _run(options: argparse.Namespace) -> int:
    # OpenMP threads that spin while they wait slow a run several times over where other
    # work shares the cores; it is read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if options.resume is None:
        compiled = _compiled(options)
        plan = _plan_of(compiled)
        with _listener(options.quiet) as listener:
            from ktgdsl.training.run import run

            text = _flattened(compiled, _settings(options))
            run(plan, out=options.out, device=options.device, listener=listener, spec=text)
    else:
        with _listener(options.quiet) as listener:
            from ktgdsl.training.run import resume

            resume(options.resume, device=options.device, listener=listener)
    return FINE


def _flattened(compiled: "Compiled", settings: Sequence[str]) -> str:
    """The spec as it was run: the file's own text, or the tree with the overrides in it."""
    if not settings:
        return next(iter(compiled.sources.values())).text
    from ktgdsl.language.format import format_file

    assert compiled.tree is not None
    told = "".join(f"# --set {setting}\n" for setting in settings)
    return f"{told}\n{format_file(compiled.tree)}"


@contextmanager
def _listener(quiet: bool) -> "Iterator[Listener]":
    if quiet:
        from ktgdsl.report.display import plain_listener, result_text
        from ktgdsl.training.events import Event, RunFinished

        def result_only(event: Event) -> None:
            if isinstance(event, RunFinished):
                print(result_text(event.plan, event.result, already=event.already), flush=True)

        yield result_only
    elif sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        from ktgdsl.report.display import terminal_listener

        with terminal_listener() as listener:
            yield listener
    else:
        from ktgdsl.report.display import plain_listener

        yield plain_listener(lambda line: print(line, flush=True))


def _loaded(options: argparse.Namespace) -> "Plan":
    return _plan_of(_compiled(options))


def _compiled(options: argparse.Namespace) -> "Compiled":
    """The compiled file; its diagnostics, warnings included, go to stderr."""
    from ktgdsl.language.render import render
    from ktgdsl.spec import compile_file

    compiled = compile_file(options.file, _settings(options))
    warnings = [d for d in compiled.diagnostics if d.severity == "warning"]
    if compiled.plan is not None and warnings:
        style = options.output_format
        print(
            render(warnings, compiled.sources, style, _colour(sys.stderr), _width()),
            file=sys.stderr,
        )
    return compiled


def _plan_of(compiled: "Compiled") -> "Plan":
    from ktgdsl.errors import SpecError

    if compiled.plan is None:
        raise SpecError(compiled.diagnostics, compiled.sources)
    return compiled.plan


def _settings(options: argparse.Namespace) -> list[str]:
    short = {"epochs": options.epochs, "seed": options.seed, "repeats": options.repeats}
    return [*options.set, *(f"train.{name}={v}" for name, v in short.items() if v is not None)]


def _report(error: KtgError, style: "Style", stream: TextIO) -> None:
    from ktgdsl.language.render import render

    print(render(error.diagnostics, error.sources, style, _colour(stream), _width()), file=stream)


def _colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def _width() -> int:
    from shutil import get_terminal_size

    return get_terminal_size((80, 24)).columns


class _Version(argparse.Action):
    """Prints the version; asked for rarely, so it is not looked up before."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import ktgdsl

        print(f"ktgc {ktgdsl.__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ktgc",
        description="Compile knowledge transfer graphs: check, plan, build and run .ktg specs.",
        epilog="Exit codes: 0 fine, 1 the spec or run is at fault, 2 usage, 70 a bug of ours.",
    )
    parser.add_argument("--version", action=_Version)
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    check = _verb(verbs, "check", _check, "say what is wrong with specs")
    check.add_argument("files", nargs="+", metavar="FILE", help="a spec; - reads standard input")

    plan = _verb(verbs, "plan", _plan, "show what a spec means, every default written out")
    plan.add_argument("file", metavar="FILE")
    plan.add_argument("--json", action="store_true", help="as JSON, with the digest")

    build = _verb(verbs, "build", _build, "print a stage of the compiler")
    build.add_argument("file", metavar="FILE")
    build.add_argument(
        "--emit",
        choices=["tree", "plan", "code"],
        default="code",
        help="the syntax tree, the plan, or the Python that runs (default: code)",
    )

    run = _verb(verbs, "run", _run, "train a graph, or go on with a run that was cut off")
    what = run.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", metavar="FILE")
    what.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    run.add_argument("--out", metavar="DIR", help="folder for the results (default: runs/NAME)")
    run.add_argument("--device", metavar="NAME", help="such as cpu or cuda:1 (default: a GPU)")
    run.add_argument("--quiet", action="store_true", help="print the result only")
    return parser


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    action: Callable[[argparse.Namespace], int],
    help: str,
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    verb.set_defaults(verb=action)
    verb.add_argument(
        "--output-format",
        choices=["full", "concise", "json"],
        default="full",
        help="how diagnostics are printed (default: full)",
    )
    verb.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="override a setting: train.epochs=2, data.batch=32, node.a=resnet14, let.T=4",
    )
    for option in ("epochs", "seed", "repeats"):
        verb.add_argument(f"--{option}", metavar="N", help=f"the same as --set train.{option}=N")
    return verb
