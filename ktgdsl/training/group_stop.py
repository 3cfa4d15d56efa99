"""Stops all processes of a group after the same step when Ctrl-C or SIGTERM reaches any of them."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from types import FrameType
from typing import Any

import torch

from ktgdsl.backend.process_group import process_group
from ktgdsl.training.deferred_signals import Handler, caught_signals

LOOK_INTERVAL = 1.0
"""Seconds between two looks whether another process wants to stop."""

_numbers = count()
"""Of the agreements of this process; all processes of a group count alike."""


class GroupStop:
    """Agrees with the other processes on the step to stop after, in the store of the group.

    A process that has got a signal announces how many steps it has taken, and goes on, as others
    may wait for it in a step. Each step exchanges gradients, so once all have announced theirs
    none is more than one step beyond the largest number, and all stop two steps after that.
    Until there is a signal this costs one look into the store each second.

    Attributes:
        agreed: whether all have stopped after the same step.
        handlers: those of the signals before this caught them.
    """

    def __init__(self) -> None:
        self.handlers: Mapping[int, Handler] = {}
        self._group = process_group()
        self._steps = 0  # in this training, since it has begun or was resumed: equal in all
        self._begin()

    def _begin(self) -> None:
        self.agreed = False
        self._signal: int | None = None
        self._announced = False
        self._last: int | None = None
        self._store = _new_store()
        self._looked = time.monotonic()

    def catch(self, number: int, _frame: FrameType | None = None) -> None:
        """Note a signal; further ones change nothing."""
        self._signal = self._signal or number

    def after_step(self, device: torch.device) -> None:
        """Handle a signal after the step that all have agreed on: its handler may raise."""
        self._steps += 1
        if self._signal is None:
            self._look()
        if self._signal is None:
            return
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # Python may be many steps ahead of the device
        if not self._announced:
            self._announced = True
            self._store.set("signal", str(int(self._signal)))
            self._store.set(str(self._group.rank), str(self._steps))
        ranks = [str(rank) for rank in range(self._group.size)]
        if self._last is None and self._store.check(ranks):
            self._last = 2 + max(int(self._store.get(rank)) for rank in ranks)
        if self._steps == self._last:
            self.agreed = True
            self.handle()
            self._begin()  # the handler has not raised, in any process: the training goes on

    def handle(self) -> None:
        """Call the handler of the signal, if one has come."""
        if self._signal is not None:
            self.handlers.get(self._signal, signal.default_int_handler)(self._signal, None)

    def _look(self) -> None:
        if (now := time.monotonic()) - self._looked >= LOOK_INTERVAL:
            self._looked = now
            if self._store.check(["signal"]):
                self.catch(int(self._store.get("signal")))


@contextmanager
def stopping_together() -> Iterator[GroupStop | None]:
    """Catch signals in the block for an agreement with the group; None for a process alone.

    A signal after the last step is handled after the block.
    """
    if not process_group().is_distributed:
        yield None
        return
    stop = GroupStop()
    with caught_signals(stop.catch) as stop.handlers:
        yield stop
    stop.handle()


def _new_store() -> Any:
    # Builds of torch without torch.distributed lack them.
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]  # not in its stubs
    from torch.distributed.distributed_c10d import _get_default_store

    return PrefixStore(f"ktgdsl/stop/{next(_numbers)}", _get_default_store())
