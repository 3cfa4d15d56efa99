"""Calls functions of the user's own code, imported from beside the spec or from `sys.path`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from ktgdsl.backend.own_code_errors import argument_meant, describe_with_place
from ktgdsl.backend.random_streams import random_stream
from ktgdsl.backend.user_modules import put_first_on_path, recording_imports
from ktgdsl.errors import describe
from ktgdsl.vocabulary.spelling import closest


class UnusableError(Exception):
    """A function that cannot be imported or that failed; the message follows its name.

    `help` says where it was looked up, if that is the question.
    """

    def __init__(self, problem: str, help: str | None = None) -> None:
        super().__init__(problem)
        self.help = help


def call_user_function(path: str, folder: str | None, /, *args: object, **arguments: object) -> Any:
    """Call the function at `path`, "package.module:name", and return its result.

    Its module is looked up in `folder` first, and so is what its code imports later, such as in
    a `forward`. A module that reads the command line while it is imported finds its own name.

    Raises:
        UnusableError: when it cannot be imported, raises an exception or ends the process.
    """
    function = user_function(path, folder)
    module = path.partition(":")[0]
    with _own_command_line(module), recording_imports(module):
        try:
            return function(*args, **arguments)
        except (Exception, SystemExit) as error:
            direct = error.__traceback__ is not None and error.__traceback__.tb_next is None
            misspelt = isinstance(error, TypeError) and direct  # raised by the call, not inside it
            help = argument_meant(function, len(args), [*arguments]) if misspelt else None
            raise UnusableError(f"fails: {describe_with_place(error)}", help) from error


def user_function(path: str, folder: str | None) -> Any:
    """The function at `path`, as `call_user_function` calls it.

    Raises:
        UnusableError: when it cannot be imported.
    """
    module, _, name = path.partition(":")
    if folder is not None:
        put_first_on_path(folder)
    with _own_command_line(module), recording_imports(module):
        where = folder and (
            f"modules are looked up beside the spec, in {folder}, then where Python looks"
        )
        if other := _shadowed_by(module, folder):
            raise UnusableError(f"is hidden by a module of that name, imported from {other}", where)
        try:
            with random_stream(0):  # a module that draws when it is imported, once in a process
                loaded = import_module(module)
        except SystemExit as error:
            raise UnusableError(
                f"cannot be imported: {describe_with_place(error)}", _SCRIPT
            ) from error
        except Exception as error:
            missing = isinstance(error, ModuleNotFoundError) and error.name == module
            meant = closest(module, _modules(folder)) if missing else None
            help = f'did you mean "{meant}:{name}"?' if meant else where
            problem = f"cannot be imported: {describe_with_place(error)}"
            raise UnusableError(problem, help) from error
        try:
            return getattr(loaded, name)
        except AttributeError as error:
            meant = closest(name, _functions(loaded))
            help = f'did you mean "{module}:{meant}"?' if meant else where
            raise UnusableError(f"cannot be imported: {describe(error)}", help) from error


def _functions(module: ModuleType) -> list[str]:
    """The public names in a module of what can be called."""
    return [name for name, value in vars(module).items() if callable(value) and name[:1] != "_"]


def _modules(folder: str | None) -> list[str]:
    """The modules that are files in the folder."""
    return [] if folder is None else [path.stem for path in Path(folder).glob("*.py")]


_SCRIPT = (
    'what only a script does, such as `parse_args()`, belongs under `if __name__ == "__main__":`'
)


@contextmanager
def _own_command_line(module: str) -> Iterator[None]:
    """Hide ktgc's arguments, and those of a search's workers, which mean nothing to a module."""
    ours = sys.argv
    sys.argv = [module]
    try:
        yield
    finally:
        sys.argv = ours


def _shadowed_by(module: str, folder: str | None) -> str | None:
    """The file of a module of the same name that was imported from elsewhere, or None.

    Python would use it instead without a warning: the `nets.py` beside another spec, say.
    """
    top = module.partition(".")[0]
    loaded = getattr(sys.modules.get(top), "__file__", None)
    wanted = PathFinder.find_spec(top, [folder]) if loaded and folder is not None else None
    if loaded is None or wanted is None or wanted.origin is None:
        return None
    same = Path(wanted.origin).resolve() == Path(loaded).resolve()
    return None if same else loaded
