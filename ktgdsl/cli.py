"""The command line: verbs, what they print, and exit codes. Only here is printed or exited."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from ktgdsl.arguments import parser
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
    options = parser(VERBS).parse_args(arguments)
    verb: Callable[[argparse.Namespace], int] = options.verb
    try:
        code = verb(options)
        sys.stdout.flush()
        return code
    except KtgError as error:
        _report(error, options.output_format, sys.stderr)
        return _fault(error.diagnostics)
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt}" if str(interrupt) else "\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _close(sys.stdout)  # nobody reads on
        return FINE
    except OSError as error:
        if error.filename is not None:
            return _our_bug()
        # A write to stdout, such as to a full disk: reads and files of ours have names.
        _close(sys.stdout)
        print(f"ktgc: the output cannot be written: {error.strerror}", file=sys.stderr)
        return AT_FAULT
    except Exception:
        return _our_bug()


def _our_bug() -> int:
    import traceback

    traceback.print_exc()
    print(
        "ktgc: this is a bug in ktgdsl, not in your spec. Please report it with the lines "
        "above, the command and the spec.",
        file=sys.stderr,
    )
    return OUR_BUG


def _close(stream: TextIO) -> None:
    """Point a stream elsewhere, or its last flush complains as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fault(diagnostics: "Sequence[Diagnostic]") -> int:
    """Whose fault errors are: of the command line when all of them are about overrides."""
    errors = [each for each in diagnostics if each.severity == "error"]
    if not errors:
        return FINE
    return USAGE if all((e.path or "").startswith("--set ") for e in errors) else AT_FAULT


def _check(options: argparse.Namespace) -> int:
    from ktgdsl.language.render import render, summary
    from ktgdsl.spec import compile_file

    found: list[Diagnostic] = []
    sources: dict[str, Source] = {}
    for path in options.files:
        compiled = compile_file(path, _settings(options), options.root, pedantic=options.pedantic)
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
    return _fault(found)


def _plan(options: argparse.Namespace) -> int:
    compiled = _compiled(options)
    plan = _plan_of(compiled)
    if options.json:
        import json

        facts = json.loads(plan.to_json())
        print(json.dumps({**facts, "digest": plan.digest}, indent=2, ensure_ascii=False))
    else:
        from ktgdsl.report.describe import describe, origins

        assert compiled.tree is not None
        print(describe(plan, origins(compiled.tree)), end="")
    return FINE


def _diff(options: argparse.Namespace) -> int:
    from ktgdsl.report.difference import difference

    one, other = (_plan_of(_compiled(options, path)) for path in (options.one, options.other))
    print(difference(one, other, (options.one, options.other)), end="")
    return FINE


def _fmt(options: argparse.Namespace) -> int:
    """With --check or --diff a file that would change is at fault, and none is written."""
    from ktgdsl.formatting import formatted, rewrite
    from ktgdsl.language.render import render

    code = FINE
    for path in options.files:
        result = formatted(path)
        problems = list(result.diagnostics)
        look = options.check or options.diff
        if path == "-" and not look and result.text is not None:
            print(result.text, end="")
        elif options.diff:
            print(result.diff(), end="")
        elif result.changed and result.text is not None:
            problem = None if look else rewrite(path, result.text)
            problems += [problem] if problem else []
            if not problem:
                print(f"{'would lay out' if look else 'laid out'} {path}")
        if problems:
            sources = {path: result.source} if result.source else {}
            style = options.output_format
            print(render(problems, sources, style, _colour(sys.stderr), _width()), file=sys.stderr)
        if problems or (look and result.changed):
            code = AT_FAULT
    return code


def _build(options: argparse.Namespace) -> int:
    compiled = _compiled(options)
    if options.emit == "tree" and compiled.tree is not None:
        print(compiled.tree.model_dump_json(indent=2, exclude_none=True))
        return FINE
    plan = _plan_of(compiled)
    if options.emit == "plan":
        print(plan.to_json(), end="")
    else:
        _require_supported(compiled, plan)
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
        _require_supported(compiled, plan)
        with _listener(options.quiet) as listener:
            from ktgdsl.training.run import run

            text = _flattened(compiled, _settings(options))
            run(plan, out=options.out, device=options.device, listener=listener, spec=text)
    else:
        given = [
            f"--{name}"
            for name in ("epochs", "seed", "repeats", "out", "root")
            if getattr(options, name)
        ]
        if options.set or given:
            names = " and ".join([*(["--set"] if options.set else []), *given])
            print(
                f"ktgc run: --resume goes on with a run as it is, without {names}", file=sys.stderr
            )
            return USAGE
        with _listener(options.quiet) as listener:
            from ktgdsl.training.run import resume

            resume(options.resume, device=options.device, listener=listener)
    return FINE


def _explain(options: argparse.Namespace) -> int:
    from ktgdsl.report.explain import explain, overview, suggest

    if options.name is None:
        print(overview())
        return FINE
    text = explain(options.name)
    if text is None:
        guess = suggest(options.name)
        fix = f"did you mean `{guess}`?" if guess else "`ktgc explain` lists what there is"
        print(f"ktgc: nothing is called `{options.name}`; {fix}", file=sys.stderr)
        return AT_FAULT
    print(text)
    return FINE


def _flattened(compiled: "Compiled", settings: Sequence[str]) -> str:
    """The spec as it was run, in one file: its own text, or the tree with all that came to it."""
    if not settings and len(compiled.sources) == 1:
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


def _compiled(options: argparse.Namespace, path: str | None = None) -> "Compiled":
    """The compiled file, by default the only one; warnings go to stderr."""
    from ktgdsl.language.render import render
    from ktgdsl.spec import compile_file

    compiled = compile_file(path or options.file, _settings(options), options.root)
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


def _require_supported(compiled: "Compiled", plan: "Plan") -> None:
    """Say where in the file it is what cannot be trained; before torch is loaded."""
    from ktgdsl.errors import RunError
    from ktgdsl.torch_backend.supported import require_supported

    try:
        require_supported(plan, compiled.tree)
    except RunError as error:
        raise RunError(error.diagnostics, compiled.sources) from None


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


VERBS = {
    "check": _check,
    "plan": _plan,
    "diff": _diff,
    "fmt": _fmt,
    "build": _build,
    "explain": _explain,
    "run": _run,
}
