"""`ktgc build`: prints a stage of the compiler."""

import argparse

from ktgdsl.backend.spec_or_space import require_spec
from ktgdsl.cli.compiling import compile_named, plan_of, required_plan
from ktgdsl.cli.console import FINE, print_file, print_json, print_text
from ktgdsl.cli.options import add_overrides, overrides
from ktgdsl.compiler import locate_errors
from ktgdsl.flattened import flattened
from ktgdsl.program.from_plan import program_of
from ktgdsl.program.text import program_text


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
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Print the tree, the plan, the program, the code or the script."""
    compiled = compile_named(options)
    if options.emit == "tree" and compiled.tree is not None:
        print_json(compiled.tree.to_json())
        return FINE
    if options.emit in ("tree", "plan"):
        print_json(plan_of(compiled).to_json())
        return FINE
    plan = required_plan(compiled, require_spec)  # before torch is loaded
    with locate_errors(compiled):
        if plan.data.facts is None or options.emit in ("code", "script"):
            from ktgdsl.training.datasets.read import complete

            plan = complete(plan)
        if options.emit == "program":
            print_text(program_text(program_of(plan)).removesuffix("\n"), wrap=False)
        elif options.emit == "script":
            from ktgdsl.standalone.script import training_script

            print_file(training_script(plan, flattened(compiled, overrides(options))))
        else:
            from ktgdsl.backend.step_code import step_code

            print_file(step_code(plan))
    return FINE
