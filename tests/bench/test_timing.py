"""Candidates are timed in an interleaved way, on a CPU and on a GPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ktgdsl.bench.result import Spread
from ktgdsl.bench.timing import LONG, Candidate, Stopwatch, time_interleaved

CPU = torch.device("cpu")


def test_candidates_are_interleaved() -> None:
    said: list[str] = []

    def says(name: str, **how: Any) -> Candidate:
        return Candidate(name, lambda: said.append(name), **how)

    both = [says("a"), says("b", samples=1, warmed=False)]
    shares: list[float] = []
    found = time_interleaved(both, Stopwatch(CPU), 1e-9, shares.append)
    # Once each for nothing, then two rounds at least: one more for nothing, and samples.
    assert "".join(said) == "ab" + 2 * "aaab"
    assert {name: len(each.samples) for name, each in found.items()} == {"a": 4, "b": 2}
    assert len(shares) == 2


def test_the_number_of_rounds_has_an_end() -> None:
    found = time_interleaved([Candidate("a", lambda: None)], Stopwatch(CPU), 1e9)
    assert len(found["a"].samples) == 200


def test_a_long_call_warms_itself() -> None:
    class Slow(Stopwatch):
        def time(self, call: Callable[[], object], calls: int = 1) -> float:
            call()
            return 2 * LONG

    said: list[int] = []
    time_interleaved([Candidate("a", lambda: said.append(1))], Slow(CPU), 1e-9)
    assert len(said) == 1 + (1 + 2) + 2


def test_a_sample_is_long_enough_to_be_waited_for() -> None:
    class Waiting(Stopwatch):
        taken = 0.0

        def time(self, call: Callable[[], object], calls: int = 1) -> float:
            return self.taken

    for taken, calls in ((0.001, 20), (0.0030, 7), (0.5, 1), (0.0, 200)):
        watch = Waiting(torch.device("cuda"))  # it is never used
        watch.taken = taken
        assert watch.calls(lambda: None) == calls
    assert Stopwatch(CPU).calls(lambda: None) == 1


def test_a_gpu_is_waited_for_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: said.append(str(device)))
    Stopwatch(torch.device("cuda:1")).time(lambda: said.append("call"), calls=2)
    assert said == ["cuda:1", "call", "call", "cuda:1"]


def test_quartiles_and_ratios_by_hand() -> None:
    found = Spread((5.0, 1.0, 2.0, 4.0, 3.0))
    assert (found.median, found.quartiles) == (3.0, (2.0, 4.0))
    assert Spread((1.0, 2.0)).quartiles == (1.25, 1.75)
    # Of each turn: 2 / 1, 9 / 3, 4 / 4.
    assert Spread((2.0, 9.0, 4.0)).over(Spread((1.0, 3.0, 4.0)), 10.0).samples == (20, 30, 10)
