"""`ktgc build`: prints a stage of the compiler."""

import argparse

from ktgdsl.backend.supported import require_supported
from ktgdsl.cli.compiling import compile_named, naming_places, plan_of, supported_plan
from ktgdsl.cli.console import FINE
from ktgdsl.cli.options import add_overrides


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("file", metavar="FILE")
    parser.add_argument(
        "--emit",
        choices=["tree", "plan", "code"],
        default="code",
        help="the syntax tree, the plan, or the Python that runs (default: code)",
    )
    add_overrides(parser)


def run(options: argparse.Namespace) -> int:
    """Print the tree, the plan or the code."""
    compiled = compile_named(options)
    if options.emit == "tree" and compiled.tree is not None:
        print(compiled.tree.to_json())
    elif options.emit != "code":
        print(plan_of(compiled).to_json(), end="")
    else:
        plan = supported_plan(compiled, require_supported)  # before torch is loaded
        from ktgdsl.backend.graph import build
        from ktgdsl.backend.sequential import step_code
        from ktgdsl.training.datasets.read import complete

        with naming_places(compiled):
            print(step_code(build(complete(plan))), end="")
    return FINE
