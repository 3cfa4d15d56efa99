"""Networks side by side are what they are one after the other."""

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph, build
from ktgdsl.backend.output import Output
from ktgdsl.backend.side_by_side import side_by_side
from ktgdsl.plan.model import Plan
from tests.plans import CORRECT, LINEAR, edge, tiny_plan, wrn10

STEPS = 50


MUTUAL = [
    *(edge("label", name) for name in "ab"),
    edge("a", "b", LINEAR),
    edge("b", "a", CORRECT),
    edge("t", "a"),
]


def three() -> Plan:
    """Two students with dropout that teach each other, and a frozen teacher of one."""
    return tiny_plan(
        "abt",
        MUTUAL,
        settings={
            "a": {"network": wrn10(dropout=0.3)},
            "b": {"network": wrn10(dropout=0.3)},
            "t": {"frozen": "the spec says so"},
        },
    )


def batch(step: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    image = torch.rand(8, 1, 8, 8, generator=generator, dtype=dtype)
    label = torch.randint(10, (8,), generator=generator)
    return image, label, torch.tensor((step + 1) / STEPS, dtype=torch.float64)


def descend(graph: TrainingGraph, compute: Callable[..., Output]) -> list[list[float]]:
    """The losses of the nodes in each step of plain gradient descent."""
    learning = [each for each in graph.parameters() if each.requires_grad]
    told = []
    for step in range(STEPS):
        graph.zero_grad()
        output = compute(*batch(step))
        torch.autograd.backward(list(output.losses.values()))
        with torch.no_grad():
            for parameter in learning:
                assert parameter.grad is not None
                parameter.sub_(0.05 * parameter.grad)
        told.append([each.item() for each in output.losses.values()])
    return told


def test_fifty_steps_are_the_same() -> None:
    plain, paired = (build(three()).double() for _ in range(2))
    wanted = descend(plain, plain)
    assert descend(paired, side_by_side(paired, threads=1)) == [
        pytest.approx(losses, abs=1e-9) for losses in wanted
    ]
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(paired.state_dict()[name], value, rtol=0, atol=1e-9)
    assert wanted[-1] != wanted[0]


def test_all_that_is_told_is_the_same() -> None:
    plain, paired = (build(three()).double() for _ in range(2))
    wanted: Output = plain(*batch(0))
    given = side_by_side(paired, threads=1)(*batch(0))
    assert isinstance(given, Output)
    # Names, and losses, edges, logits and shares of open gates.
    torch.testing.assert_close(given._asdict(), wanted._asdict(), rtol=0, atol=1e-12)


class Met(nn.Module):
    """Waits in forward and backward until all others are there as well."""

    def __init__(self, meeting: threading.Barrier) -> None:
        super().__init__()
        self.meeting = meeting
        self.last = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        self.meeting.wait(timeout=60)
        logits: Tensor = self.last(image.flatten(1))
        hook: Callable[..., object] = logits.register_hook
        hook(self.met_again)
        return logits

    def met_again(self, gradient: Tensor) -> None:
        self.meeting.wait(timeout=60)


def test_they_run_at_the_same_time_in_both_directions() -> None:
    meeting = threading.Barrier(3)
    graph = build(tiny_plan("abc"), {name: Met(meeting) for name in "abc"})
    output = side_by_side(graph, threads=1)(*batch(0, torch.float32))
    torch.autograd.backward(list(output.losses.values()))
    assert not meeting.broken
    assert all(parameter.grad is not None for parameter in graph.parameters())


def test_autocast_reaches_the_networks() -> None:
    seen: list[torch.dtype] = []

    class Watched(nn.Linear):
        def forward(self, image: Tensor) -> Tensor:
            logits = super().forward(image.flatten(1))
            seen.append(logits.dtype)
            return logits

    graph = build(tiny_plan("ab"), {name: Watched(64, 10) for name in "ab"})
    compute = side_by_side(graph, threads=1)
    with torch.autocast("cpu", torch.bfloat16):
        compute(*batch(0, torch.float32))
    compute(*batch(0, torch.float32))
    assert seen == [torch.bfloat16] * 2 + [torch.float32] * 2


def test_the_threads_of_others_are_left_alone() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        graph = build(tiny_plan("abcde"))
        side_by_side(graph, threads=1)(*batch(0, torch.float32))
        told: list[int] = []
        later = threading.Thread(target=lambda: told.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert [torch.get_num_threads(), *told] == [before + 1, before + 1]
    finally:
        torch.set_num_threads(before)


def test_a_network_that_fails_says_so() -> None:
    graph = build(tiny_plan("ab"), {"b": nn.Linear(3, 10)})
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        side_by_side(graph, threads=1)(*batch(0, torch.float32))
