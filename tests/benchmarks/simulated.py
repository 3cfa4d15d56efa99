"""A search by simulation: workers that take trainings, and who goes on after which epoch."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import heappop, heappush
from random import Random

Keep = Callable[[int, int], bool]
"""Whether a training, by its number, goes on after an epoch that is a rung."""


@dataclass(frozen=True)
class Training:
    """Seconds until its first epoch begins, seconds an epoch takes, and how many there are."""

    start: float
    epoch: float
    epochs: int


@dataclass(frozen=True)
class Outcome:
    """When the last training ended, in seconds, and how many epochs each of them had."""

    seconds: float
    epochs: tuple[int, ...]

    def reached(self, epoch: int) -> int:
        """How many trainings came to the end of that epoch."""
        return sum(each >= epoch for each in self.epochs)


def simulate(
    trainings: Sequence[Training],
    rungs: Sequence[int],
    keep: Keep,
    workers: int,
    coordinator: float = 0.0,
) -> Outcome:
    """Trainings in order, each by the first of the workers that is free.

    After each rung `keep` is asked, in the order of time, and one that does not go on makes its
    worker free. `coordinator` are the seconds that the one coordinator needs for a training before
    it can begin, while others wait for their turn.
    """
    waiting = deque(range(len(trainings)))
    trained = [0] * len(trainings)
    stops: list[tuple[float, int, int]] = []  # when, whose, after which epoch
    coordinator_free = now = 0.0

    def go_on(number: int, since: float, done: int) -> None:
        training = trainings[number]
        ahead = [rung for rung in rungs if done < rung < training.epochs]
        stop = min(ahead, default=training.epochs)
        heappush(stops, (since + (stop - done) * training.epoch, number, stop))

    def begin() -> None:
        nonlocal coordinator_free
        if waiting:
            number = waiting.popleft()
            coordinator_free = max(coordinator_free, now) + coordinator
            go_on(number, coordinator_free + trainings[number].start, 0)

    for _ in range(workers):
        begin()
    while stops:
        now, number, epoch = heappop(stops)
        trained[number] = epoch
        if epoch < trainings[number].epochs and keep(number, epoch):
            go_on(number, now, epoch)
        else:
            begin()
    return Outcome(now, tuple(trained))


def everybody(number: int, epoch: int) -> bool:
    """Nobody is ended, since each happens to be better than all before it: the worst case."""
    return True


def halves() -> Keep:
    """Every second one to arrive at a rung goes on: exactly the half, whatever their values."""
    seen: Counter[int] = Counter()

    def keep(number: int, epoch: int) -> bool:
        seen[epoch] += 1
        return seen[epoch] % 2 == 0

    return keep


def judged(goes_on: Callable[[int, float], bool], noise: float, seed: int) -> Keep:
    """The rule of a search, told epochs and values, on simulated accuracies.

    A trial's accuracy after epoch e is what all have in common there, which cancels out, plus
    a quality ~ N(0, 1) of its own that lasts, plus N(0, noise² / e) anew at every rung. With a
    noise of 1 chance decides as much as the graph after one epoch, and an eighth after 64.
    """

    def keep(number: int, epoch: int) -> bool:
        value = _normal(seed, number, 0) + noise * _normal(seed, number, epoch) / epoch**0.5
        return goes_on(epoch, value)

    return keep


@cache
def _normal(*which: int) -> float:
    return Random(repr(which)).gauss(0, 1)
