"""Every loss and gate that has a function: what it reads, its gradients, and no host waits."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ktgdsl.backend.factories import FACTORIES
from ktgdsl.backend.functions import GATES as GATE_FUNCTIONS
from ktgdsl.backend.functions import LOSSES
from ktgdsl.backend.graph import TrainingGraph, build
from ktgdsl.program.reads import placeholders_of
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.gates import Gate
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.networks import Derived
from ktgdsl.vocabulary.reads import PhaseFraction, Read, SourceKind
from ktgdsl.vocabulary.registry import entries
from tests.specs import graph, sound
from tests.words import name_of, named, tap_for, variants

B, C = 6, 10


def loss_edges() -> Iterator[str]:
    """An edge into `a` for each loss that has a function, and for each of its options."""
    for word, source in LOSSES:
        for loss in variants(named(f"loss {word}")):
            assert isinstance(loss, Loss)
            if source == "node":
                tap = tap_for(loss)
                yield f"edge b{tap} -> a{tap} : {loss.call()}"
            elif source == "nothing":
                yield f"edge a : {loss.call()}"
            elif loss.from_label() is None:
                yield f"edge label -> a : {loss.call()}"


def gates_with_functions() -> Iterator[Gate]:
    for word in GATE_FUNCTIONS:
        for gate in variants(named(f"gate {word}")):
            assert isinstance(gate, Gate)
            yield gate


def spec(edge: str, reduce: str = "mean") -> str:
    body = f"node a, b = resnet8 {{ keep = true }} target a edge label -> b {edge}"
    if "edge label -> a" not in edge:
        body += " edge label -> a"
    return graph(body, f"train {{ reduce = {reduce} }} data digits {{ augment = paper views = 2 }}")


GATES = list(gates_with_functions())
EDGES = [
    *loss_edges(),
    *(f"edge b -> a : kl via {gate.call()}" for gate in GATES),
    "edge label -> a : ce via agree",
    "edge b -> a : kl(T=linear(1, 4))",
    "edge b -> a : standardized_kl(T=cosine(4, 1), scale=1)",
    "edge label -> a : kl(T=linear(1, 4))",
    "edge a -> a : mse(on=probabilities) via stable * steadier",
]
FROM_VIEW_TO_VIEW = [
    edge.replace("edge b", "edge a", 1) for edge in loss_edges() if edge.startswith("edge b")
]


class Stage(nn.Module):
    """A stage that gives its parameters as features, after a batch norm and a ReLU."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.f = nn.Parameter(torch.randn(B, *shape))
        self.norm, self.relu = nn.BatchNorm2d(shape[0]), nn.ReLU()

    def forward(self) -> Tensor:
        features: Tensor = self.relu(self.norm(self.f))
        return features


class Logits(nn.Module):
    """A network that gives its parameters as logits, and those of its stages as features."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.z = nn.Parameter(z)
        self.stage1, self.stage2 = Stage(4, 4, 4), Stage(6, 2, 2)

    def forward(self, image: Tensor) -> Tensor:
        for stage in (self.stage1, self.stage2):
            stage()
        return self.z


def built(edge: str, reduce: str = "mean") -> TrainingGraph:
    torch.manual_seed(0)
    networks = {name: Logits(torch.randn(B, C)) for name in "ab"}
    return build(sound(spec(edge, reduce)), networks)


def batch(module: TrainingGraph, device: str = "cpu") -> list[Tensor]:
    """Images, labels of which two are unknown, the progress, and the second view if it is read."""
    label = torch.tensor([3, -1, 2, 0, -1, 1], device=device)
    progress = torch.tensor(0.04, dtype=torch.float64, device=device)
    image = torch.zeros(B, 1, 8, 8, device=device)
    return [image, label, progress, image][: len(placeholders_of(module.update))]


def step(module: TrainingGraph, device: str = "cpu") -> None:
    out = module(*batch(module, device))
    torch.autograd.backward([*out.losses.values()])


@pytest.mark.parametrize("edge", [*EDGES, *FROM_VIEW_TO_VIEW])
def test_an_edge_teaches_its_destination_and_never_its_source(edge: str) -> None:
    module = built(edge)
    out = module(*batch(module))
    words = edge.split()
    source, destination = (words[1], words[3]) if "->" in edge else ("", "a")
    value = out.edges[source, destination]
    assert value.isfinite()
    value.backward()
    reached = {
        name: any(each.grad is not None for each in network.parameters())
        for name, network in module.networks.items()
    }
    assert reached == {"a": True, "b": False}


@pytest.mark.parametrize("loss", list(entries("loss").values()), ids=name_of)
def test_a_loss_has_a_function_for_each_of_its_sources(loss: type[Entry]) -> None:
    assert issubclass(loss, Loss)
    if loss.word != "python":
        assert {source for word, source in LOSSES if word == loss.word} == loss.sources


@pytest.mark.parametrize("gate", list(entries("gate").values()), ids=name_of)
def test_a_gate_has_a_function_or_folds(gate: type[Entry]) -> None:
    assert issubclass(gate, Gate)
    assert gate.folds != (gate.word in GATE_FUNCTIONS) or gate.word == "python"


@pytest.mark.parametrize(("word", "source"), LOSSES)
def test_a_function_is_for_a_source_that_its_loss_may_have(word: str, source: SourceKind) -> None:
    loss = entries("loss")[word]
    assert issubclass(loss, Loss)
    assert source in loss.sources


@pytest.mark.parametrize("gate", GATES, ids=str)
class TestGates:
    def test_says_of_itself_what_it_reads(self, gate: Gate) -> None:
        read = [each for each in gate.inputs("node") if isinstance(each, Read)]
        assert gate.reads_source == any(each.of == "source" for each in read)
        assert gate.per_sample == any(each.form != "progress" for each in read)
        # The labels give no logits to read: there the gate is 1, or reads something else.
        of_labels = [each for each in gate.inputs("label") if isinstance(each, Read)]
        assert gate.one_from_label or not any(each.of == "source" for each in of_labels)

    def test_is_within_its_bounds_and_carries_no_gradient(self, gate: Gate) -> None:
        z = torch.randn(64, C, requires_grad=True)
        forms = {"logits": z, "log_p": z.log_softmax(1), "p": z.softmax(1)}
        low, high = gate.bounds
        for k in range(1, 101):
            values: dict[str, Any] = {
                **forms,
                "sample": torch.arange(64),
                "label": z.argmax(1).masked_fill(torch.rand(64) < 0.5, -1),
                "progress": torch.tensor(k / 100, dtype=torch.float64),
            }
            inputs = (
                values[each.form]
                if isinstance(each, Read)
                else 0.5
                if isinstance(each, PhaseFraction)
                else each
                for each in gate.inputs("node")
            )
            weight = GATE_FUNCTIONS[gate.word](*inputs)
            assert weight.shape == ((64,) if gate.per_sample else ())
            assert not weight.requires_grad
            assert low - 1e-12 <= weight.min()
            assert weight.max() <= high + 1e-12


def test_every_network_of_the_vocabulary_is_made_by_something() -> None:
    words = {word for word, each in entries("network").items() if not issubclass(each, Derived)}
    assert words == set(FACTORIES)


class CountReads(TorchDispatchMode):  # type: ignore[no-untyped-call]  # untyped in torch
    """Counts reads of a tensor's value by the host."""

    reads = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.reads += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("reduce", ["mean", "active", "sum"])
@pytest.mark.parametrize("edge", EDGES)
def test_the_host_reads_no_value_in_a_step(edge: str, reduce: str) -> None:
    module = built(edge, reduce)
    counter = CountReads()  # type: ignore[no-untyped-call]  # untyped in torch
    with counter:
        step(module)
        assert counter.reads == 0
        torch.ones(()).item()
        assert counter.reads == 1  # the counter does count


@pytest.mark.skipif(not torch.cuda.is_available(), reason="asks CUDA itself")
@pytest.mark.parametrize("reduce", ["mean", "active", "sum"])
@pytest.mark.parametrize("edge", EDGES)
def test_nothing_in_a_step_waits_for_the_device(edge: str, reduce: str) -> None:
    module = built(edge, reduce).to("cuda")
    step(module, "cuda")  # library handles are made at the first call
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(module, "cuda")
    finally:
        torch.cuda.set_sync_debug_mode("default")
