"""The exceptions and warnings that the package raises, each with its diagnostics."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from ktgdsl.diagnostics.diagnostic import Diagnostic, Subject
from ktgdsl.diagnostics.source import Source


class KtgError(Exception):
    """Base of the exceptions that ktgdsl raises for a user's mistake.

    `diagnostics` says what is wrong; `sources` has the texts that they point into, by path.
    """

    def __init__(
        self, diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source] | None = None
    ) -> None:
        self.diagnostics = tuple(diagnostics)
        self.sources = dict(sources or {})
        super().__init__(*(diagnostic.message for diagnostic in self.diagnostics))

    @classmethod
    def single(
        cls, code: str, message: str, *, help: str | None = None, path: Path | None = None
    ) -> Self:
        """The exception for one mistake that has no place in a text.

        Args:
            code: of the diagnostic, such as "E502".
            message: a sentence that stands alone.
            help: what the user can do.
            path: the file or folder at fault.
        """
        return cls([Diagnostic(code, message, help=help, path=None if path is None else str(path))])

    def __str__(self) -> str:
        from ktgdsl.diagnostics.render import render

        return render(self.diagnostics, self.sources, "full")


class SpecError(KtgError):
    """The spec is at fault."""


class RunError(KtgError):
    """A run cannot go on: a loss that is not finite, a folder that cannot be written, ..."""


class NodeError(RunError):
    """The network of a node cannot be made or used; `node` is the node's name in the plan."""

    def __init__(self, node: str, problem: Diagnostic, tap: str = "", *, setting: str = "") -> None:
        self.node = node
        super().__init__([replace(problem, subject=Subject(node, tap, setting=setting))])


class TapError(NodeError):
    """The network of a node has no layer of that name; `tap` is its name in the plan."""

    def __init__(self, node: str, tap: str, problem: Diagnostic) -> None:
        self.tap = tap
        super().__init__(node, problem, tap)


class EdgeError(RunError):
    """The loss of an edge cannot be computed; `edge` is (source, destination) as in the plan."""

    def __init__(self, edge: tuple[str, str], problem: Diagnostic) -> None:
        self.edge = edge
        super().__init__([replace(problem, subject=Subject(edge=edge))])


class KtgWarning(UserWarning):
    """A warning about a run or its data; `diagnostic` has its code and help."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic.message)


def warn(code: str, message: str, *, help: str | None = None, path: Path | None = None) -> None:
    """Warn by Python's `warnings`, which say the same only once; the command line shows the code.

    Args:
        code: of the diagnostic, such as "W301".
        message: a sentence that stands alone.
        help: what the user can do.
        path: the file or folder that it is about.
    """
    where = None if path is None else str(path)
    warnings.warn(
        KtgWarning(Diagnostic(code, message, help=help, path=where, severity="warning")),
        stacklevel=3,
    )


def describe(error: BaseException) -> str:
    """An exception in one line: its type and its message."""
    return f"{type(error).__name__}: {error}"
