"""Deterministic training: torch's deterministic algorithms, and no fast paths of ours."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ktgdsl.errors import RunError

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_NOT_IMPLEMENTED = "does not have a deterministic implementation"
"""In the message of the RuntimeError that torch raises for such an operator."""


@contextmanager
def deterministically(enabled: bool) -> Iterator[None]:
    """Use deterministic algorithms alone in the block, if `enabled`.

    `torch.use_deterministic_algorithms` is the switch, for torch and for us: where it is on, each
    edge is computed by itself and networks one after the other.

    Raises:
        RunError: where an operator of some network or loss has no such algorithm (E504).
    """
    if not enabled:
        yield
        return
    os.environ.setdefault(_WORKSPACE, ":4096:8")  # cuBLAS needs a workspace of its own
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        with reporting_nondeterministic_operators():
            yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


@contextmanager
def reporting_nondeterministic_operators() -> Iterator[None]:
    """Raise RunError (E504) where an operator has no deterministic algorithm and needs one."""
    try:
        yield
    except RuntimeError as error:
        operator, reason, _ = str(error).partition(_NOT_IMPLEMENTED)
        if not reason:
            raise
        message = f"`--deterministic` is not possible: {operator}{reason}"
        help = "use another network or loss, or leave `--deterministic` out"
        raise RunError.single("E504", message, help=help) from error
