"""Callables of the user's own, imported from beside the spec or else from where Python looks."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any


class UnusableError(Exception):
    """A callable that cannot be found or that failed: the message follows its name.

    `help` says where it was looked up, when that is the question.
    """

    def __init__(self, problem: str, help: str | None = None) -> None:
        super().__init__(problem)
        self.help = help


def call(place: str, folder: str | None, /, *given: object, **arguments: object) -> Any:
    """What the callable at `place`, "package.module:name", returns for these arguments.

    Its module is looked up in `folder` first. Raises UnusableError when it is not there or fails.
    """
    module, _, name = place.partition(":")
    with _first_on_path(folder):
        where = folder and (
            f"modules are looked up beside the spec, in {folder}, then where Python looks"
        )
        if other := _hidden_by(module, folder):
            raise UnusableError(f"is hidden by a module of that name, imported from {other}", where)
        try:
            function = getattr(import_module(module), name)
        except Exception as error:
            raise UnusableError(f"cannot be imported: {describe(error)}", where) from error
        try:
            return function(*given, **arguments)
        except Exception as error:
            raise UnusableError(f"fails: {describe(error)}") from error


def describe(error: Exception) -> str:
    """An exception in one line: its type and its message."""
    return f"{type(error).__name__}: {error}"


def _hidden_by(module: str, folder: str | None) -> str | None:
    """The file of a module imported earlier under the name of one in the folder, or None.

    Python would use it without a word, such as the `nets.py` beside another spec.
    """
    top = module.partition(".")[0]
    loaded = getattr(sys.modules.get(top), "__file__", None)
    found = PathFinder.find_spec(top, [folder]) if loaded and folder is not None else None
    if loaded is None or found is None or found.origin is None:
        return None
    same = Path(found.origin).resolve() == Path(loaded).resolve()
    return None if same else loaded


@contextmanager
def _first_on_path(folder: str | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
