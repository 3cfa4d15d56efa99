"""`ktgc explain`: says what a code, a word, a keyword or a setting means."""

import argparse
import sys

from ktgdsl.cli.console import AT_FAULT, FINE, print_text, width
from ktgdsl.cli.init import TEMPLATES
from ktgdsl.lowering.named_values import either
from ktgdsl.report.explain import explain, overview, suggest
from ktgdsl.report.filled_text import refilled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="such as E304, correct, edge, data.batch or result.json",
    )


SHIPPED = (
    "dml3",
    "gates",
    "kd",
    "losses_space",
    "peers_space",
    "space",
    "temperature_space",
    "vanilla",
)
"""The specs in the folder `specs` of the project."""


def _as_spec(name: str) -> str:
    """Which specs are called so: a template of `init`, one in the project; "" for none."""
    template = f"`ktgc init --template {name}` writes a spec of that name"
    shipped = f"specs/{name}.ktg of the project is a spec"
    known = {template: name in TEMPLATES, shipped: name in SHIPPED}
    return " and ".join(each for each, is_known in known.items() if is_known)


def run(options: argparse.Namespace) -> int:
    """Print the explanation, or without a name what there is to explain."""
    if options.name is None:
        print_text(refilled(overview(), width()))
        return FINE
    text = explain(options.name)
    if text is None:
        guesses = suggest(options.name)
        fix = (
            f"did you mean {either(guesses)}?" if guesses else "`ktgc explain` lists what there is"
        )
        unknown = f"nothing is called `{options.name}`"
        if spec := _as_spec(options.name.removesuffix(".ktg")):
            unknown, fix = f"{unknown} in the language, but {spec}", fix if guesses else ""
        print_text(f"ktgc: {unknown}{'; ' * bool(fix)}{fix}", sys.stderr)
        return AT_FAULT
    print_text(refilled(text, width()))
    return FINE
