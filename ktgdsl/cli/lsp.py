"""`ktgc lsp`: answers an editor, which starts it and talks to it over stdin and stdout."""

import argparse
import sys
from importlib.util import find_spec

import ktgdsl
from ktgdsl.cli.console import FINE, usage_error
from ktgdsl.extras import missing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "--pedantic", action="store_true", help="ask about what is legal but suspicious too"
    )
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="folder that files named by specs lie in (default: the project of each)",
    )
    parser.add_argument("--stdio", action="store_true", help="what some editors say; it is so")


def run(options: argparse.Namespace) -> int:
    """Serve until the editor hangs up."""
    if sys.stdin.isatty():
        return usage_error("lsp", "an editor starts it; grammar/editors says how each is set up")
    if find_spec("pygls") is None:
        raise missing("the language server", "lsp")
    from ktgdsl.editor.server import serve  # which takes a second

    serve(str(ktgdsl.__version__), options.root, pedantic=options.pedantic)
    return FINE
