"""The same bits from the same training: torch's deterministic algorithms, no short cuts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import RunError

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_LACKING = "does not have a deterministic implementation"
"""In the message of the RuntimeError that torch raises for such an operator."""


@contextmanager
def deterministically(wanted: bool) -> Iterator[None]:
    """Lets all that is computed in here be computed by deterministic algorithms, if wanted.

    `torch.use_deterministic_algorithms` is the switch, for torch and for us: where it is on, each
    edge is computed by itself and networks one after the other.

    Raises:
        RunError: where an operator of some network or loss has no such algorithm (E504).
    """
    if not wanted:
        yield
        return
    os.environ.setdefault(_WORKSPACE, ":4096:8")  # cuBLAS needs a workspace of its own
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        with naming_operators():
            yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


@contextmanager
def naming_operators() -> Iterator[None]:
    """Raises RunError (E504) where an operator has to be deterministic and cannot."""
    try:
        yield
    except RuntimeError as error:
        operator, lacking, _ = str(error).partition(_LACKING)
        if not lacking:
            raise
        message = f"`--deterministic` is not possible: {operator}{lacking}"
        help = "use another network or loss, or leave `--deterministic` out"
        raise RunError([Diagnostic("E504", message, help=help)]) from error
