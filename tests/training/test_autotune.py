"""Long runs try how steps are executed; the choice is kept, said, and that of a run's start."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch

import ktgdsl
from ktgdsl.backend.process_group import ProcessGroup
from ktgdsl.plan.model import Plan
from ktgdsl.training import autotune
from ktgdsl.training import run as runs
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.events import EpochDone, Event, RunStarted
from ktgdsl.training.execution import Choice, Execution, choose_execution
from ktgdsl.training.networks import load_network
from tests.plans import tiny_plan
from tests.specs import sound

CPU = torch.device("cpu")
LONG = tiny_plan(data={"samples": 32}, epochs=2_000)  # of two steps each


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def names(plan: Plan) -> list[tuple[str, str]]:
    found = autotune.candidates(plan, CPU, choose_execution(plan, CPU))
    return [(each.networks.value, each.memory_format.value) for each in found]


def test_the_rule_comes_first_among_all_that_is_possible() -> None:
    assert names(LONG) == [
        ("side by side", "channels_last"),
        ("one by one", "channels_last"),
        ("one by one", "contiguous"),
        ("side by side", "contiguous"),
    ]
    alone = tiny_plan("a", [("label", "a")])
    assert names(alone) == [("one by one", "channels_last"), ("one by one", "contiguous")]


@pytest.mark.parametrize(
    "plan",
    [
        tiny_plan(compile="on"),
        sound('graph g { node a = timm("resnet18") target a edge label -> a }'),
    ],
)
def test_what_is_not_open_is_not_tried(plan: Plan) -> None:
    assert len(names(plan)) == 1


def test_deterministic_steps_are_those_of_the_rule() -> None:
    with deterministically(True):
        assert len(names(LONG)) == 1


def ticking(seconds: Callable[[int], float]) -> Callable[[], float]:
    """A clock for which the n-th timed step, counted from 0, takes so many seconds."""
    calls = count()

    def clock() -> float:
        call = next(calls)
        return seconds(call // 2) if call % 2 else 0.0

    return clock


def test_steps_are_timed_in_turn_and_leave_random_streams_as_they_were() -> None:
    ways = autotune.candidates(LONG, CPU, choose_execution(LONG, CPU))
    before = torch.get_rng_state()
    # Steps 1, 5, 9, ... are of the first way, after one that tells how long the run takes.
    found = autotune.measure(LONG, CPU, ways, 4_000, ticking(lambda n: 1.0 if n % 4 == 2 else 2.0))
    assert torch.equal(before, torch.get_rng_state())
    assert found == {
        "side by side in channels_last": 2000.0,
        "one by one in channels_last": 1000.0,
        "one by one in contiguous": 2000.0,
        "side by side in contiguous": 2000.0,
    }


def test_a_run_of_less_than_a_minute_goes_by_rule() -> None:
    ways = autotune.candidates(LONG, CPU, choose_execution(LONG, CPU))
    assert autotune.measure(LONG, CPU, ways, 4_000, ticking(lambda n: 0.01)) is None


def fake(monkeypatch: pytest.MonkeyPatch, *milliseconds: float) -> list[int]:
    """Let steps take so long; the list grows with each measurement."""
    calls: list[int] = []

    def measure(
        plan: Plan, device: torch.device, ways: tuple[Execution, ...], steps: int
    ) -> Mapping[str, float]:
        calls.append(steps)
        return dict(zip(map(autotune.name_of, ways), milliseconds, strict=True))

    monkeypatch.setattr(autotune, "measure", measure)
    return calls


def test_the_fastest_is_kept_for_equal_runs_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = fake(monkeypatch, 20.0, 15.0, 10.0, 30.0)
    first = autotune.autotuned_execution(LONG, CPU)
    assert (first.networks.value, first.memory_format.value) == ("one by one", "contiguous")
    assert first.tried == (
        "one by one in contiguous, 10.0 ms a step when tried; 20.0 ms side by side in "
        "channels_last; 15.0 ms one by one in channels_last; 30.0 ms side by side in contiguous"
    )
    again = LONG.model_copy(update={"train": LONG.train.model_copy(update={"seed": 5})})
    assert autotune.autotuned_execution(again, CPU) == first
    assert calls == [4_000]
    (path,) = (tmp_path / "executions").iterdir()
    path.write_text(path.read_text().replace("10.0", "90.0"))  # damaged
    assert autotune.autotuned_execution(LONG, CPU) == first
    autotune.autotuned_execution(tiny_plan("abc", data={"samples": 32}, epochs=2_000), CPU)
    assert calls == [4_000] * 3
    torch.set_num_threads(3)
    autotune.autotuned_execution(LONG, CPU)
    assert len(calls) == 4


def test_a_gain_that_may_be_chance_does_not_change_the_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake(monkeypatch, 20.0, 19.5, 25.0, 25.0)
    found = autotune.autotuned_execution(LONG, CPU)
    assert found == replace(choose_execution(LONG, CPU), tried=found.tried)
    assert found.tried is not None


def test_a_search_and_few_steps_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake(monkeypatch, 20.0, 15.0, 10.0, 30.0)
    assert autotune.autotuned_execution(tiny_plan(), CPU).tried is None
    assert calls == []


def test_several_processes_go_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a part of every batch, and would have to take the steps of the others."""
    calls = fake(monkeypatch, 20.0)
    monkeypatch.setattr(autotune, "process_group", lambda: ProcessGroup(2, 0))
    assert autotune.autotuned_execution(LONG, CPU).tried is None
    assert calls == []


def test_a_resumed_run_keeps_the_choice_of_its_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = tiny_plan(data={"samples": 48}, epochs=2)
    rule = choose_execution(plan, CPU)
    chosen = replace(rule, memory_format=Choice("contiguous", "x"), tried="so fast")
    monkeypatch.setattr(runs, "autotuned_execution", lambda plan, device: chosen)
    said: list[Event] = []

    def interrupt(event: Event) -> None:
        if isinstance(event, EpochDone):
            raise KeyboardInterrupt

    whole = ktgdsl.run(plan, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        ktgdsl.run(plan, out=tmp_path / "cut", listener=interrupt)
    # What would be chosen now does not matter.
    monkeypatch.setattr(runs, "autotuned_execution", lambda plan, device: rule)
    cut = ktgdsl.resume(tmp_path / "cut", listener=said.append)
    assert cut.nodes == whole.nodes
    weights = [load_network(each.folder, "a").state_dict() for each in (cut, whole)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    environment = json.loads((tmp_path / "cut" / "environment.json").read_text())
    for part in (environment, environment["resumed"][0]):
        assert part["computing"]["memory_format"]["value"] == "contiguous"
        assert part["computing"]["tried"] == "so fast"
    (started,) = (event for event in said if isinstance(event, RunStarted))
    assert "steps: so fast" in started.chosen
    # A machine with one thread cannot keep networks side by side, and goes by its rule.
    torch.set_num_threads(1)
    here = autotune.execution_to_resume(plan, CPU, environment)
    assert (here.networks.value, here.tried) == ("one by one", None)
