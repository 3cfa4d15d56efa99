"""`ktgc dashboard`: shows the trials of a search in a browser, by optuna-dashboard."""

import argparse
import sys
from contextlib import suppress

from ktgdsl.cli.console import FINE, print_text
from ktgdsl.cli.options import add_output_format


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("folder", metavar="DIR", help="the folder of a search, finished or not")
    parser.add_argument(
        "--port", type=int, default=8080, metavar="N", help="0 for a free one (default: 8080)"
    )
    add_output_format(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C, which is how it ends."""
    from ktgdsl.searching.dashboard import HOST, dashboard_server  # these import Optuna
    from ktgdsl.searching.folder import open_search_folder
    from ktgdsl.training.run_files import named_folder

    folder = open_search_folder(named_folder(options.folder))
    with suppress(KeyboardInterrupt), dashboard_server(folder, options.port) as server:
        print_text(f"http://{HOST}:{server.server_port} shows {folder.path}; Ctrl-C ends it")
        sys.stdout.flush()  # into a pipe as well
        server.serve_forever()
    return FINE
