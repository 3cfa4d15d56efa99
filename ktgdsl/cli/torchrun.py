"""Output of the processes of `torchrun`: what several have to say is printed by one."""

import os
from collections.abc import Sequence
from datetime import timedelta

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.files import sha256

_ANSWER = timedelta(seconds=10)
"""How long the launcher is waited for."""


def speaks_for_all() -> bool:
    """Whether this process shows how the run goes on: it is alone, or has rank 0."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def is_first_with(diagnostics: Sequence[Diagnostic]) -> bool:
    """Whether no other process of this start has had the same before; true without `torchrun`.

    The launcher's store counts them. Where it does not answer every process is the first.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1" or "TORCHELASTIC_RUN_ID" not in os.environ:
        return True
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not in its stubs

    content = repr((os.environ.get("TORCHELASTIC_RESTART_COUNT"), *diagnostics))
    try:
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = TCPStore(address, port, is_master=False, timeout=_ANSWER)
        return store.add(f"ktgdsl/diagnostics/{sha256(content.encode())}", 1) == 1
    except (KeyError, ValueError, RuntimeError):
        return True
