"""`ktgc build`: prints a stage of the compiler."""

import argparse
from pathlib import Path

from ktgdsl.backend.spec_or_space import require_spec
from ktgdsl.cli.compiling import compile_named, plan_of, required_plan
from ktgdsl.cli.console import FINE, print_file, print_json, print_text
from ktgdsl.cli.options import add_overrides, overrides
from ktgdsl.compiler import locate_errors
from ktgdsl.flattened import flattened
from ktgdsl.program.from_plan import program_of
from ktgdsl.program.text import program_text
from ktgdsl.report.output import write_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", metavar="FILE")
    parser.add_argument(
        "--emit",
        choices=["tree", "plan", "program", "code", "script"],
        default="code",
        help="the syntax tree, the plan, what is computed when, the Python that computes a step, "
        "or a script that trains without ktgdsl (default: code)",
    )
    parser.add_argument(
        "-o", dest="out", type=_output_file, metavar="FILE", help="write a file (default: print)"
    )
    add_overrides(parser)


def _output_file(text: str) -> Path:
    if Path(text).suffix == ".ktg":
        raise argparse.ArgumentTypeError(f"it would overwrite a spec: {text!r}")
    return Path(text)


def run(options: argparse.Namespace) -> int:
    """Print the tree, the plan, the program, the code or the script, or write it to a file."""
    text = _emitted(options)
    if options.out is not None:
        write_output(options.out, text.encode())
        print_text(f"wrote {options.out}")
    elif options.emit in ("tree", "plan"):
        print_json(text)
    elif options.emit == "program":
        print_text(text.removesuffix("\n"), wrap=False)
    else:
        print_file(text)
    return FINE


def _emitted(options: argparse.Namespace) -> str:
    """The text of the stage, with a line end."""
    compiled = compile_named(options)
    if options.emit == "tree" and compiled.tree is not None:
        return f"{compiled.tree.to_json()}\n"
    if options.emit in ("tree", "plan"):
        return plan_of(compiled).to_json()
    plan = required_plan(compiled, require_spec)  # before torch is loaded
    with locate_errors(compiled):
        if plan.data.facts is None or options.emit in ("code", "script"):
            from ktgdsl.training.datasets.read import complete

            plan = complete(plan)
        if options.emit == "program":
            return program_text(program_of(plan))
        if options.emit == "script":
            from ktgdsl.standalone.script import training_script

            return training_script(plan, flattened(compiled, overrides(options)))
        from ktgdsl.backend.step_code import step_code

        return step_code(plan)
