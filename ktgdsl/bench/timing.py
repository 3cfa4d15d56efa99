"""Timing of calls on a device, of several candidates interleaved in one process."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ktgdsl.bench.result import ONE_THREAD, WALL, Spread

SHORTEST = 0.02
"""Seconds that a sample takes at least on a GPU: synchronising takes time too."""

LONG = 0.5
"""Seconds of a call that is too long to depend on what is in the caches when it starts."""

MAX_CALLS = 200
MIN_ROUNDS, MAX_ROUNDS = 2, 100


@dataclass(frozen=True)
class Candidate:
    """A call to be timed.

    Attributes:
        name: of the candidate.
        call: the call.
        samples: how many are taken in each round.
        warmed: whether an untimed call precedes them, since the other candidates have used the
            caches before. A long call needs none.
    """

    name: str
    call: Callable[[], object]
    samples: int = 2
    warmed: bool = True


class Stopwatch:
    """Times calls on a device, until all that they have launched there is done.

    The device is synchronised before and after, whatever streams are used. On a CPU with one
    thread the time is CPU time, which does not include other work of the machine.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        alone = device.type == "cpu" and torch.get_num_threads() == 1
        self._clock = time.process_time if alone else time.perf_counter
        self.clock_name = ONE_THREAD if alone else WALL

    def wait(self) -> None:
        """Wait until everything that was launched on the device is done."""
        match self._device.type:
            case "cuda":
                torch.cuda.synchronize(self._device)
            case "mps":
                torch.mps.synchronize()

    def time(self, call: Callable[[], object], calls: int = 1) -> float:
        """The mean time in seconds of `calls` calls, one after the other."""
        self.wait()
        begin = self._clock()
        for _ in range(calls):
            call()
        self.wait()
        return (self._clock() - begin) / calls

    def calls(self, call: Callable[[], object]) -> int:
        """How many calls make a sample: one on a CPU, else as many as take long enough."""
        if self._device.type == "cpu":
            return 1
        taken = max(self.time(call), SHORTEST / MAX_CALLS)
        return max(1, math.ceil(SHORTEST / taken))


def time_interleaved(
    candidates: Sequence[Candidate],
    watch: Stopwatch,
    seconds: float,
    progress: Callable[[float], object] = lambda share: None,
) -> dict[str, Spread]:
    """Time candidates, by their names, in rounds of all for about `seconds` seconds.

    The first calls are not counted. There are at least two rounds, however long they take.
    `progress` is called before each round with the share of the seconds that is over, 0 to 1.
    """
    for each in candidates:
        each.call()
    calls = {each.name: watch.calls(each.call) for each in candidates}
    taken: dict[str, list[float]] = {each.name: [] for each in candidates}
    began = time.monotonic()
    for number in range(MAX_ROUNDS):
        share = (time.monotonic() - began) / seconds
        if number >= MIN_ROUNDS and share >= 1:
            break
        progress(min(share, 1.0))
        for each in candidates:
            samples = taken[each.name]
            if each.warmed and not (samples and samples[-1] > LONG):
                each.call()
            samples += [watch.time(each.call, calls[each.name]) for _ in range(each.samples)]
    return {name: Spread(tuple(samples), calls[name]) for name, samples in taken.items()}
