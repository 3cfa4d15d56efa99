"""Captured steps equal plain ones. The recordings are simulated where there is no CUDA."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from ktgdsl.backend.graph import build
from ktgdsl.backend.networks import Dropout
from ktgdsl.backend.output import Output
from ktgdsl.backend.streams import on_streams
from ktgdsl.plan.model import Call, Plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.training.captured import WARM_UP, CapturedStep, CudaGraph
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.execution import Choice, choose_execution
from ktgdsl.training.executors import apply_memory_format
from ktgdsl.training.prepare import stepper
from ktgdsl.training.step import Stepper
from tests.backend.test_side_by_side import MUTUAL
from tests.plans import adamw, sgd, tiny_plan, wrn10

CPU = torch.device("cpu")
CUDA = torch.device("cuda:1")
STEPS = 6
FALLING = Call(name="multistep", arguments={"at": [1], "gamma": 0.1, "warmup": 0})


class FakeRecording:
    """Records a step on a CPU: a replay computes it again and writes to the same memory."""

    made = 0

    def __init__(self, compute: Callable[[], Output], dropouts: Sequence[Dropout]) -> None:
        FakeRecording.made += 1
        assert all(each.generator is not None for each in dropouts)
        self._compute = compute
        self.output = compute()  # the caller restores what this changes

    def replay(self) -> None:
        pairs: Any = zip(self.output, self._compute(), strict=True)
        for old, new in pairs:
            for key, each in new.items():
                old[key].copy_(each)


class FailingRecording(FakeRecording):
    def __init__(self, compute: Callable[[], Output], dropouts: Sequence[Dropout]) -> None:
        super().__init__(compute, dropouts)
        raise RuntimeError("operation not permitted when stream is capturing\nand more")


class EmptyRecording(FakeRecording):
    def replay(self) -> None:
        pass


def mutual(**train: Any) -> Plan:
    """Two students, one with dropout, and a frozen teacher whose statistics move."""
    return tiny_plan(
        "abt",
        MUTUAL,
        settings={
            "a": {"network": wrn10(dropout=0.3)},
            "t": {"frozen": "the spec says so", "mode": "train"},
        },
        epochs=2,
        **{"schedule": FALLING, "optimizer": sgd(lr=0.1, momentum=0.9), **train},
    )


PLANS = {
    "sgd": mutual(clip=1.0),
    "adamw": mutual(optimizer=adamw(1e-3)),
    "skip": mutual(on_zero="skip"),
    "sequential": mutual(update="sequential"),
}


def batch(number: int, size: int = 8) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(number)
    image = torch.rand(size, 1, 8, 8, generator=stream)
    return image, torch.randint(10, (size,), generator=stream)


def plain(plan: Plan) -> Stepper:
    teacher = build(plan, seed=3).networks["t"]
    return stepper(plan, "cpu", networks={"t": teacher}, steps=STEPS)


def captured(plan: Plan, record: type[FakeRecording] = FakeRecording) -> Stepper:
    """A stepper that computes as on a GPU, but for the recording."""
    FakeRecording.made = 0
    teacher = build(plan, seed=3).networks["t"]
    networks = build(plan, {"t": teacher}, seed=plan.train.seed).networks
    execution = replace(
        choose_execution(plan, CPU),
        networks=Choice("one by one", "a test"),
        launches=Choice("captured", "a test"),
    )
    for node in plan.graph.nodes[:2]:
        apply_memory_format(networks[node.name], node.network.name, execution)
    program = program_of(plan, STEPS)
    return Stepper(plan, program, networks, CPU, execution, record=record)


def losses(step: Stepper, numbers: range = range(STEPS), size: int = 8) -> list[float]:
    outputs = [step(*batch(number, size)) for number in numbers]
    return [each.item() for output in outputs for each in output.losses.values()]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", PLANS)
def test_captured_steps_equal_plain_ones(name: str) -> None:
    """Over a fall of the learning rate, with random streams, and all that an optimiser keeps."""
    one, other = plain(PLANS[name]), captured(PLANS[name])
    assert losses(other) == pytest.approx(losses(one), rel=1e-4)
    assert FakeRecording.made == 1
    assert other.learning_rates == one.learning_rates
    now, then = other.state_dict(), one.state_dict()
    for node, state in then["networks"].items():
        for key, value in state.items():
            torch.testing.assert_close(now["networks"][node][key], value, rtol=1e-3, atol=1e-5)
    for node, streams in then["dropout"].items():
        assert all(map(torch.equal, now["dropout"][node], streams))


@pytest.mark.usefixtures("one_thread")
def test_a_batch_of_another_shape_is_not_captured() -> None:
    actual = []
    for step in (plain(PLANS["sgd"]), captured(PLANS["sgd"])):
        parts = (losses(step, range(2)), losses(step, range(2, 3), size=5), losses(step, range(3)))
        actual.append([each for part in parts for each in part])
    assert actual[1] == pytest.approx(actual[0], rel=1e-4)


def test_the_output_of_a_step_is_not_changed_by_the_next() -> None:
    step = captured(PLANS["sgd"])
    output = step(*batch(0))
    before = [each.clone() for part in output for each in part.values()]
    step(*batch(1))
    assert all(map(torch.equal, before, (each for part in output for each in part.values())))


@cache
def losses_uncut(name: str) -> list[float]:
    return losses(plain(PLANS[name]))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("ways", ["captured to plain", "plain to captured", "captured to captured"])
def test_a_state_resumes_captured_or_not(name: str, ways: str) -> None:
    plan = PLANS[name]
    whole = losses_uncut(name)
    first, second = (plain if way == "plain" else captured for way in ways.split(" to "))
    interrupted, resumed = first(plan), second(plan)
    actual = losses(interrupted, range(3))
    if second is captured:
        losses(resumed, range(1))  # it has captured already, with another state
    resumed.load_state_dict(interrupted.state_dict())
    assert actual + losses(resumed, range(3, STEPS)) == pytest.approx(whole, rel=1e-4)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("record", "why"),
    [
        (FailingRecording, "operation not permitted when stream is capturing$"),
        (EmptyRecording, "a replayed step moves the weights otherwise, by 100%"),
    ],
)
def test_a_recording_that_fails_is_not_used(record: type[FakeRecording], why: str) -> None:
    step = captured(PLANS["adamw"], record)
    with pytest.warns(UserWarning, match=f"one kernel after the other: {why}"):
        actual = losses(step)
    assert actual == pytest.approx(losses(plain(PLANS["adamw"])), rel=1e-4)
    assert FakeRecording.made == 1


def test_a_step_without_updates_is_recorded_all_the_same() -> None:
    """No way to go, and none gone: the recording does what it should."""
    weight = torch.zeros(2, requires_grad=True)
    calls: list[int] = []

    def compute(image: Tensor, label: Tensor) -> Output:
        calls.append(len(image))
        return Output({}, {}, {}, {})

    step = CapturedStep(compute, lambda: [weight], [], record=FakeRecording)
    step(*batch(0))
    assert len(calls) == WARM_UP + 1 + 1 + 1  # recorded, proven, taken


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.filterwarnings("error:steps are launched")
@pytest.mark.parametrize("name", PLANS)
def test_captured_steps_on_a_gpu_equal_plain_ones(name: str) -> None:
    """To the accuracy that two orders of the same sums leave after some steps."""
    teacher = build(PLANS[name], seed=3).networks["t"]
    with deterministically(True):
        one = stepper(PLANS[name], "cuda", networks={"t": deepcopy(teacher)}, steps=STEPS)
    other = stepper(PLANS[name], "cuda", networks={"t": teacher}, steps=STEPS)
    assert (one.execution.launches.value, other.execution.launches.value) == ("each", "captured")
    assert losses(other) == pytest.approx(losses(one), rel=0.05)


# Calls of torch.cuda, on a fake of it


def test_random_streams_are_registered_with_the_cuda_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    class Graph:
        def register_generator_state(self, generator: torch.Generator) -> None:
            calls.append(generator)

        def replay(self) -> None:
            calls.append("replay")

    @contextmanager
    def recording(graph: Graph) -> Iterator[None]:
        calls.append("begin")
        yield
        calls.append("end")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    drawn, idle = Dropout(0.5), Dropout(0.5)
    drawn(torch.ones(3))
    nothing = Output({}, {}, {}, {})

    def compute() -> Output:
        calls.append("compute")
        return nothing

    graph = CudaGraph(compute, [drawn, idle])
    graph.replay()
    assert calls == [drawn.generator, "begin", "compute", "end", "replay"]
    assert graph.output is nothing


def test_networks_on_streams_compute_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stream waits for the caller's before, the caller's for each after."""
    calls: list[str] = []

    class Stream:
        def __init__(self, device: torch.device) -> None:
            assert device == CUDA
            self.name = f"s{len(made)}" if made else "current"
            made.append(self)

        def wait_stream(self, other: "Stream") -> None:
            calls.append(f"{self.name} waits for {other.name}")

    made: list[Stream] = []
    current = Stream(CUDA)

    @contextmanager
    def on(stream: Stream) -> Iterator[None]:
        calls.append(f"on {stream.name}")
        yield

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: current)
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(Tensor, "record_stream", lambda *_: None)
    graph = build(mutual(), seed=0)
    graph.networks["a"].eval()  # no dropout
    given = (*batch(0), torch.tensor(0.5, dtype=torch.float64))
    wanted, found = graph(*given), on_streams(graph, CUDA)(*given)
    for one, other in zip(wanted, found, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=0)
    assert calls == [
        *(line for s in ("s1", "s2", "s3") for line in (f"{s} waits for current", f"on {s}")),
        *(f"current waits for {s}" for s in ("s1", "s2", "s3")),
    ]
