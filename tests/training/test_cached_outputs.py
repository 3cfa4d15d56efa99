"""`cache = outputs`: kept outputs of frozen nodes give the bits that computing them gives."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend.cached import CachedOutputs
from ktgdsl.backend.graph import build
from ktgdsl.errors import NodeError
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.events import EpochDone
from ktgdsl.training.execution import Choice, choose_execution
from ktgdsl.training.loop import ResumePoint
from ktgdsl.training.prepare import stepper
from ktgdsl.training.step import Stepper
from tests.specs import sound
from tests.trained import CPU, train_plan
from tests.training.test_captured import FakeRecording
from tests.training.test_step import assert_equal, weights

EDGES = """
edge label -> a
edge t -> a : kl(T=4)
edge t.stage2 -> a.stage2 : attention
"""


@pytest.fixture(autouse=True)
def _deterministic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))
    with deterministically(True):
        yield


def plan(settings: str = "", edges: str = EDGES, more: str = "", data: str = "") -> Plan:
    return sound(
        f"graph g {{ node a = resnet8 node t = wrn10_1 {{ {settings} }} target a {edges} }}"
        f"data digits {{ batch = 16 samples = 72 {data} }} train {{ epochs = 3 }} {more}"
    )


def calls(network: nn.Module) -> list[int]:
    """The sizes of the batches that the network computes from here on while it trains others."""
    sizes: list[int] = []
    network.register_forward_pre_hook(
        lambda module, inputs: None if inputs[0].shape[0] > 16 else sizes.append(len(inputs[0]))
    )
    return sizes


TWO_PHASES = "phase one { learn = [t] } phase two { learn = [a] }"


@pytest.mark.parametrize(
    ("edges", "more", "data"),
    [
        (EDGES, "", ""),
        (EDGES, "", "drop_last = false"),
        ("edge label -> a edge t -> a via correct", "", ""),
        (f"edge label -> t {EDGES}", TWO_PHASES, ""),
    ],
)
def test_weights_are_those_of_a_training_that_computes_the_outputs(
    edges: str, more: str, data: str
) -> None:
    kept = train_plan(plan("cache = outputs", edges, more, data))
    computed = train_plan(plan("", edges, more, data))
    for name in ("a", "t"):
        assert_equal(weights(kept.stepper, name), weights(computed.stepper, name))
    assert kept.accuracy == computed.accuracy


def test_in_turn_too() -> None:
    found = [
        train_plan(
            sound(
                f"graph g {{ node a, b = resnet8 node t = wrn10_1 {{ {settings} }} target a "
                "edge label -> a edge t -> a edge t.stage1 -> b.stage1 : attention edge a <-> b }"
                "data digits { batch = 16 samples = 64 } train { epochs = 2 update = sequential }"
            )
        ).stepper
        for settings in ("cache = outputs", "")
    ]
    assert_equal(weights(found[0], "a"), weights(found[1], "a"))
    assert_equal(weights(found[0], "b"), weights(found[1], "b"))


def test_each_sample_is_computed_once() -> None:
    step = stepper(plan("cache = outputs"), CPU)
    sizes = calls(step.networks["t"])
    image = torch.rand(72, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def take(first: int, count: int = 16) -> None:
        sample = torch.arange(first, first + count)
        step(image[sample], torch.zeros(count, dtype=torch.int64), sample)

    take(0)
    assert sizes == [16, 16, 16]  # to try it, in another order, and to keep it
    take(16)
    take(0)
    take(8)
    assert sizes == [16] * 4
    take(20)  # four of them are new
    take(20)
    assert sizes == [16] * 5
    take(0, 8)  # another size may have other kernels
    assert sizes == [16] * 5 + [8]


def test_a_resumed_training_computes_them_again(tmp_path: Path) -> None:
    def keep(done: EpochDone, step: Stepper) -> None:
        torch.save(step.state_dict(), tmp_path / f"{done.epoch}.pt")

    whole = train_plan(plan("cache = outputs"), on_epoch=keep)
    state = torch.load(tmp_path / "1.pt", weights_only=True)
    resumed = train_plan(plan("cache = outputs"), resume=ResumePoint(1, state))
    assert_equal(weights(whole.stepper, "a"), weights(resumed.stepper, "a"))


class OfTheBatch(nn.Module):
    """Outputs that depend on the other samples."""

    def forward(self, image: Tensor) -> Tensor:
        return image.flatten(1) + image.cumsum(0).flatten(1)


def fits(size: int) -> bool:
    return size <= 1024


def test_outputs_that_depend_on_the_batch_are_computed_each_time() -> None:
    cache = CachedOutputs("t", OfTheBatch(), ("logits",), 4)
    image = torch.arange(8.0).view(4, 1, 1, 2)
    with pytest.warns(UserWarning, match="outputs of node t depend on chance here"):
        cache.prepare(image, torch.arange(4), fits)
    order = torch.tensor([2, 0, 3, 1])
    with warnings.catch_warnings(action="error"):
        cache.prepare(image[order], order, fits)
    read = cache.read(order, ("logits",))["logits"]
    assert torch.equal(read, OfTheBatch()(image[order]))


def test_outputs_keep_their_layout() -> None:
    class Features(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)

    cache = CachedOutputs("t", Features(), ("logits",), 4)
    image, sample = torch.rand(4, 1, 2, 2), torch.arange(4)
    cache.prepare(image, sample, fits)
    read = cache.read(sample, ("logits",))["logits"]
    assert torch.equal(read, Features()(image))
    assert read.stride() == Features()(image).stride()


def test_outputs_that_do_not_fit_into_memory_are_refused() -> None:
    cache = CachedOutputs("t", nn.Flatten(), ("logits",), 10_000)
    with pytest.raises(NodeError, match="would keep 10 MiB for 10,000 samples"):
        cache.prepare(torch.zeros(2, 1, 16, 16), torch.arange(2), fits)


def test_it_changes_no_digest_and_is_no_network_to_compute() -> None:
    kept, computed = plan("cache = outputs"), plan()
    assert kept.digest == computed.digest
    assert kept.canonical_digest == computed.canonical_digest
    (phase,) = program_of(kept).phases
    assert [call.node for call in phase.updates[0].computed] == ["a"]
    assert choose_execution(kept, CPU).networks.why == "there is one network"


def test_beside_networks_side_by_side_and_in_captured_steps() -> None:
    peers = sound(
        "graph g { node a, b = resnet8 node t = wrn10_1 { cache = outputs } target a "
        "edge label -> a edge t -> a, b edge a <-> b } data digits { batch = 16 samples = 72 }"
    )
    image = torch.rand(72, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    label = torch.arange(72) % 10
    found = []
    for networks, launches in (("one by one", "each"), ("side by side", "captured")):
        execution = replace(
            choose_execution(peers, CPU),
            networks=Choice(networks, "a test"),
            launches=Choice(launches, "a test"),
        )
        made = build(peers, seed=0).networks
        step = Stepper(peers, program_of(peers), made, CPU, execution, record=FakeRecording)
        outputs = []
        for first, count in ((0, 16), (16, 16), (0, 16), (8, 8)):
            sample = torch.arange(first, first + count)
            output = step(image[sample], label[sample], sample)
            outputs.append([*output.edges.values(), output.logits["t"].sum()])
        found.append(torch.tensor(outputs))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-4)
