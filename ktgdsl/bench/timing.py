"""Timing: contenders that take turns in one process, and waiting for their device."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ktgdsl.bench.result import ONE_THREAD, WALL, Spread

SHORTEST = 0.02
"""Seconds that a sample takes at least on a device that is waited for: waiting takes time too."""

LONG = 0.5
"""Seconds of a call that does not depend on what the caches hold at its begin."""

MOST_CALLS = 200
LEAST_ROUNDS, MOST_ROUNDS = 2, 100


@dataclass(frozen=True)
class Contender:
    """Something to be timed. In each turn there are `samples` of it, after an untimed call if it
    is `warmed`, as others have used the caches before; a long call warms itself.
    """

    name: str
    call: Callable[[], object]
    samples: int = 2
    warmed: bool = True


class Stopwatch:
    """Seconds of calls on a device, all that they have begun there included.

    The device is waited for before and after, so that nothing is left out whatever streams are
    used. Of one thread of a CPU it is CPU time, which does not see what else the machine does.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        alone = device.type == "cpu" and torch.get_num_threads() == 1
        self._clock = time.process_time if alone else time.perf_counter
        self.told = ONE_THREAD if alone else WALL

    def wait(self) -> None:
        """Until everything that was begun on the device is done."""
        match self._device.type:
            case "cuda":
                torch.cuda.synchronize(self._device)
            case "mps":
                torch.mps.synchronize()

    def time(self, call: Callable[[], object], calls: int = 1) -> float:
        """The mean of so many calls, one after the other."""
        self.wait()
        begin = self._clock()
        for _ in range(calls):
            call()
        self.wait()
        return (self._clock() - begin) / calls

    def calls(self, call: Callable[[], object]) -> int:
        """How many calls make a sample: on a CPU one, elsewhere as many as take long enough."""
        if self._device.type == "cpu":
            return 1
        taken = max(self.time(call), SHORTEST / MOST_CALLS)
        return max(1, math.ceil(SHORTEST / taken))


def in_turns(
    contenders: Sequence[Contender],
    watch: Stopwatch,
    seconds: float,
    progress: Callable[[float], object] = lambda share: None,
) -> dict[str, Spread]:
    """The time of each contender, by its name, in turns of all for about so many seconds.

    The first calls are not counted. There are at least two rounds, whatever they take, and
    `progress` is told how much is done, from 0 to 1.
    """
    for each in contenders:
        each.call()
    calls = {each.name: watch.calls(each.call) for each in contenders}
    taken: dict[str, list[float]] = {each.name: [] for each in contenders}
    began = time.monotonic()
    for number in range(MOST_ROUNDS):
        share = (time.monotonic() - began) / seconds
        if number >= LEAST_ROUNDS and share >= 1:
            break
        progress(min(share, 1.0))
        for each in contenders:
            samples = taken[each.name]
            if each.warmed and not (samples and samples[-1] > LONG):
                each.call()
            samples += [watch.time(each.call, calls[each.name]) for _ in range(each.samples)]
    return {name: Spread(tuple(samples), calls[name]) for name, samples in taken.items()}
