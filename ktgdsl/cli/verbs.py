"""The verbs that read specs: check, plan, diff, graph, fmt, build and explain. They print."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from ktgdsl.compiler import Compiled
    from ktgdsl.diagnostics.diagnostic import Diagnostic
    from ktgdsl.diagnostics.source import Source
    from ktgdsl.plan.model import Plan
    from ktgdsl.syntax.tree import File

FINE, AT_FAULT, USAGE, OUR_BUG, INTERRUPTED = 0, 1, 2, 70, 130


def fault(diagnostics: "Sequence[Diagnostic]") -> int:
    """Whose fault errors are: of the command line when all of them are about overrides."""
    errors = [each for each in diagnostics if each.severity == "error"]
    if not errors:
        return FINE
    return USAGE if all((e.path or "").startswith("--set ") for e in errors) else AT_FAULT


def check(options: argparse.Namespace) -> int:
    """Say what is wrong with specs."""
    from ktgdsl.compiler import compile_file
    from ktgdsl.diagnostics.render import render, summary

    found: list[Diagnostic] = []
    sources: dict[str, Source] = {}
    for path in options.files:
        compiled = compile_file(path, overrides(options), options.root, pedantic=options.pedantic)
        found += compiled.diagnostics
        sources.update(compiled.sources)
    style = options.output_format
    text = render(found, sources, style, colour(sys.stdout), width())
    if text:
        print(text)
    if style == "full":
        count = len(options.files)
        files = f"{count} file{'s' if count > 1 else ''} checked"
        print(("\n" if found else "") + f"{files}: {summary(found)}")
    return fault(found)


def plan(options: argparse.Namespace) -> int:
    """Show what a spec means."""
    compiled = compile_given(options)
    plan = plan_of(compiled)
    told = ""
    more: dict[str, object] = {}
    if plan.space is not None:
        from ktgdsl.cli.training_verbs import prepare_to_train
        from ktgdsl.report.cost import cost

        if options.measure:
            prepare_to_train()

        told, more = cost(plan, measure=options.measure)
    if options.json:
        import json

        facts = {**json.loads(plan.to_json()), "digest": plan.digest, **more}
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        from ktgdsl.report.describe import describe, origins

        assert compiled.tree is not None
        print(describe(plan, origins(compiled.tree)), end="")
        print(told and f"\n{told}", end="")
    return FINE


def diff(options: argparse.Namespace) -> int:
    """Show what differs between two specs in meaning."""
    from ktgdsl.report.difference import difference

    one, other = (plan_of(compile_given(options, path)) for path in (options.one, options.other))
    print(difference(one, other, (options.one, options.other)), end="")
    return FINE


def graph(options: argparse.Namespace) -> int:
    """Draw a spec, or what is in a folder with what its nodes have reached."""
    from ktgdsl.report.pictures.picture import of_run, picture, write

    reached: dict[str, str] = {}
    if not Path(options.file).is_dir():
        plan = plan_of(compile_given(options))
    elif overrides(options):
        print("ktgc graph: a run is drawn as it is, without --set", file=sys.stderr)
        return USAGE
    else:
        plan, reached = of_run(options.file)
    if options.out is None:
        print(picture(plan, ".mmd", reached).decode(), end="")
    else:
        write(options.out, plan, reached)
    return FINE


def fmt(options: argparse.Namespace) -> int:
    """With --check or --diff a file that would change is at fault, and none is written."""
    from ktgdsl.cli.formatting import formatted, rewrite
    from ktgdsl.diagnostics.render import render

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
            print(render(problems, sources, style, colour(sys.stderr), width()), file=sys.stderr)
        if problems or (look and result.changed):
            code = AT_FAULT
    return code


def build(options: argparse.Namespace) -> int:
    """Print a stage of the compiler."""
    compiled = compile_given(options)
    if options.emit == "tree" and compiled.tree is not None:
        print(compiled.tree.model_dump_json(indent=2, exclude_none=True))
        return FINE
    plan = plan_of(compiled)
    if options.emit == "plan":
        print(plan.to_json(), end="")
    else:
        from ktgdsl.backend.supported import require_supported

        require(require_supported, compiled)  # before torch is loaded
        from ktgdsl.backend.graph import build
        from ktgdsl.backend.sequential import program
        from ktgdsl.training.datasets.read import complete

        print(program(build(complete(plan))), end="")
    return FINE


def explain(options: argparse.Namespace) -> int:
    """Say what a code, a word, a keyword or a setting means."""
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


def compile_given(options: argparse.Namespace, path: str | None = None) -> "Compiled":
    """The compiled file, by default the only one; warnings go to stderr."""
    from ktgdsl.compiler import compile_file
    from ktgdsl.diagnostics.render import render

    compiled = compile_file(path or options.file, overrides(options), options.root)
    warnings = [d for d in compiled.diagnostics if d.severity == "warning"]
    if compiled.plan is not None and warnings:
        style = options.output_format
        print(
            render(warnings, compiled.sources, style, colour(sys.stderr), width()),
            file=sys.stderr,
        )
    return compiled


def plan_of(compiled: "Compiled") -> "Plan":
    """The plan; SpecError where there is none."""
    from ktgdsl.errors import SpecError

    if compiled.plan is None:
        raise SpecError(compiled.diagnostics, compiled.sources)
    return compiled.plan


def require(what: "Callable[[Plan, File | None], None]", compiled: "Compiled") -> "Plan":
    """The plan, when it can be trained or searched; else where in the file it is what cannot."""
    from ktgdsl.errors import RunError

    plan = plan_of(compiled)
    try:
        what(plan, compiled.tree)
    except RunError as error:
        raise RunError(error.diagnostics, compiled.sources) from None
    return plan


def overrides(options: argparse.Namespace) -> list[str]:
    """What the command line overrides, the short forms written out."""
    short = {"epochs": options.epochs, "seed": options.seed, "repeats": options.repeats}
    return [*options.set, *(f"train.{name}={v}" for name, v in short.items() if v is not None)]


def colour(stream: TextIO) -> bool:
    """Whether what is printed there may be coloured."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def width() -> int:
    """The columns of the terminal."""
    from shutil import get_terminal_size

    return get_terminal_size((80, 24)).columns
