"""The import path for modules of the user's, and a record of what calls have imported. No torch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_IMPORTED: dict[str, set[str]] = {}
"""The modules that this process first imported in calls of a module's functions."""


def imported_by(module: str) -> frozenset[str]:
    """The modules that calls of functions of `module` were the first to import."""
    return frozenset(_IMPORTED.get(module, ()))


@contextmanager
def recording_imports(module: str) -> Iterator[None]:
    """Record what the block, a call of a function of `module`, imports."""
    before = set(sys.modules)
    try:
        yield
    finally:
        _IMPORTED.setdefault(module, set()).update(sys.modules.keys() - before)


@contextmanager
def first_on_path(folder: str | None) -> Iterator[None]:
    """Look modules up in `folder` first, if it is one."""
    if folder is None:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def put_first_on_path(folder: str) -> None:
    """Look modules up in `folder` first from now on."""
    with suppress(ValueError):
        sys.path.remove(folder)
    sys.path.insert(0, folder)
