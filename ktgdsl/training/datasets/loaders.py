"""Reports failures of DataLoader workers as errors: one that cannot start, or that ends early."""

from collections.abc import Iterator
from contextlib import contextmanager

from ktgdsl.errors import RunError

_DEAD = "DataLoader worker (pid"
"""The start of PyTorch's RuntimeError message about a worker process that died."""


@contextmanager
def loaders_reported() -> Iterator[None]:
    """Raise RunError (E504) where a process that loads data cannot start, or ends early.

    PyTorch tells of its end between any two lines of the main thread: in the middle of a step
    as well as where a batch is waited for.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(_DEAD):
            raise
        how = str(error).rpartition(") ")[2].splitlines()[0].rstrip(". ")
        message = f"a process that loads data {how}"
        help = "usually it had too little memory: fewer `workers` or a smaller `batch` need less"
        raise RunError.single("E504", message, help=help) from error
    except OSError as error:
        if error.filename is not None:
            raise
        message = f"the processes that load data cannot be started: {error.strerror or error}"
        help = "fewer `workers` need less; with `workers = 0` there are none"
        raise RunError.single("E504", message, help=help) from error
