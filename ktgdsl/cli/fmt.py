"""`ktgc fmt`: lays files out in the one layout; each is written whole or not at all."""

import argparse
import difflib
import sys
from dataclasses import dataclass
from pathlib import Path

from ktgdsl.cli.console import AT_FAULT, FINE, print_diagnostics, print_file, print_text
from ktgdsl.cli.options import add_output_format
from ktgdsl.cli.spec_files import spec_files
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source
from ktgdsl.files import write_atomic
from ktgdsl.syntax.format import format_source
from ktgdsl.syntax.read import read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a spec; - formats standard input; a folder: all specs in it",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="only say which files would change")
    how.add_argument("--diff", action="store_true", help="only show what would change")
    add_output_format(parser)


def run(options: argparse.Namespace) -> int:
    """With --check or --diff a file that would change is at fault, and none is written."""
    only_look = options.check or options.diff
    code = FINE
    for path in spec_files(options.files):
        result = _format(path)
        problems = list(result.diagnostics)
        if path == "-" and not only_look and result.text is not None:
            print_file(result.text)
        elif options.diff:
            print_file(result.diff())
        elif result.changed and result.text is not None:
            problem = None if only_look else _rewrite(path, result.text)
            problems += [problem] if problem else []
            if not problem:
                print_text(f"{'would lay out' if only_look else 'laid out'} {path}")
        if problems:
            sources = {path: result.source} if result.source else {}
            print_diagnostics(problems, sources, options.output_format, sys.stderr)
        if problems or (only_look and result.changed):
            code = AT_FAULT
    return code


@dataclass(frozen=True)
class _Formatted:
    """A file and its text in the one layout; without a text, diagnostics that say why."""

    path: str
    source: Source | None
    text: str | None
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the file is laid out differently."""
        return self.source is not None and self.text not in (None, self.source.text)

    def diff(self) -> str:
        """The change as a unified diff; "" where there is none."""
        if self.source is None or self.text is None:
            return ""
        before, after = (text.splitlines(keepends=True) for text in (self.source.text, self.text))
        return "".join(difflib.unified_diff(before, after, self.path, f"{self.path} (formatted)"))


def _format(path: str) -> _Formatted:
    """Format the file at `path`, or standard input for "-". Raises nothing."""
    source, diagnostics = read(path)
    if source is None:
        return _Formatted(path, None, None, diagnostics)
    text, diagnostics = format_source(source)
    return _Formatted(path, source, text, diagnostics)


def _rewrite(path: str, text: str) -> Diagnostic | None:
    """Put `text` into the file at `path`: all of it, or the file stays as it is (E001)."""
    try:
        # A link stays one: it is the file behind it that is written.
        write_atomic(Path(path).resolve(), text.encode())
    except OSError as error:
        message = f"`{path}` cannot be written: {error.strerror or error}"
        return Diagnostic("E001", message, help="the file is as it was", path=path)
    return None
