"""The metrics of an epoch, by hand, and that reading them is one transfer."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import ktgdsl
from ktgdsl.backend.output import Output
from ktgdsl.plan.model import Edge, Plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.training.events import EdgeMetrics, EpochDone, EpochMetrics, NonFinite
from ktgdsl.training.metrics import EpochMeter, evaluate, finite
from ktgdsl.training.metrics_file import metric_lines
from ktgdsl.training.predictions import NetworkPredictor
from tests.plans import CORRECT, edge, tiny_plan

CPU = torch.device("cpu")
LA, TA, LB = ("label", "a"), ("t", "a"), ("label", "b")


def plan() -> Plan:
    """Nodes a and b learn; t is frozen and teaches a."""
    edges: list[Edge | tuple[str, str]] = [LA, edge("t", "a", CORRECT), LB]
    return tiny_plan("abt", edges, settings={"t": {"frozen": "no edge enters it"}})


def answers(*classes: int, of: int = 3) -> Tensor:
    """Logits (B, of) whose top-1 are these."""
    return torch.eye(of)[list(classes)]


def output(
    label_a: float, t_a: float, label_b: float, share: float, logits: dict[str, Tensor]
) -> Output:
    edges = {LA: label_a, TA: t_a, LB: label_b}
    return Output(
        losses={"a": torch.tensor(label_a + t_a), "b": torch.tensor(label_b)},
        edges={key: torch.tensor(value) for key, value in edges.items()},
        logits=logits,
        open={TA: torch.tensor(share)},
    )


RIGHT = {name: answers(0, 1) for name in "abt"}
LABEL = torch.tensor([0, 1])


def test_an_epoch_is_the_mean_over_its_steps() -> None:
    meter = EpochMeter(program_of(plan()).phases[0], CPU)
    first = {"a": answers(0, 1, 2, 2), "b": answers(0, 0, 0, 0), "t": answers(0, 1, 2, 0)}
    second = {"a": answers(1, 1, 1, 1), "b": answers(1, 1, 0, 0), "t": answers(1, 2, 2, 2)}
    meter.update(output(1.0, 0.5, 2.0, 0.75, first), torch.tensor([0, 1, 2, 0]), 1)
    # The last sample has no label: it counts neither as right nor as wrong.
    meter.update(output(0.5, 0.25, 1.0, 0.25, second), torch.tensor([1, 1, 0, -1]), 2)
    metrics = meter.read()
    assert metrics.steps == 2
    assert metrics.loss == {"a": 1.125, "b": 1.5}
    assert metrics.accuracy == {
        "a": pytest.approx(100 * (3 + 2) / 7),
        "b": pytest.approx(100 * (2 + 3) / 7),
        "t": pytest.approx(100 * (4 + 1) / 7),
    }
    assert {key: each.loss for key, each in metrics.edges.items()} == {LA: 0.75, TA: 0.375, LB: 1.5}
    assert {key: each.open for key, each in metrics.edges.items()} == {LA: 1.0, TA: 0.5, LB: 1.0}
    assert metrics.nonfinite is None


def test_accuracy_counts_pixels_of_dense_labels() -> None:
    meter = EpochMeter(program_of(tiny_plan("a")).phases[0], CPU)
    logits = torch.zeros(1, 2, 1, 4)
    logits[0, 1] = torch.tensor([1.0, 1.0, -1.0, 1.0])  # top-1: 1, 1, 0, 1
    one = torch.tensor(1.0)
    meter.update(
        Output({"a": one}, {LA: one}, {"a": logits}, {}), torch.tensor([[[1, 0, 0, -1]]]), 1
    )
    assert meter.read().accuracy["a"] == pytest.approx(100 * 2 / 3)


def test_without_labels_the_accuracy_is_zero() -> None:
    meter = EpochMeter(program_of(plan()).phases[0], CPU)
    meter.update(output(0.0, 0.0, 0.0, 1.0, RIGHT), torch.tensor([-1, -1]), 1)
    assert meter.read().accuracy == {"a": 0.0, "b": 0.0, "t": 0.0}


def test_a_meter_without_a_step_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="without a step"):
        EpochMeter(program_of(plan()).phases[0], CPU).read()


def test_sums_of_half_precision_losses_are_exact() -> None:
    meter = EpochMeter(program_of(tiny_plan("a")).phases[0], CPU)
    loss = torch.tensor(0.1, dtype=torch.bfloat16)
    for k in range(1, 1001):
        meter.update(Output({"a": loss}, {LA: loss}, {"a": answers(0, 1)}, {}), LABEL, k)
    # A sum in bfloat16 would have stopped growing at 32.
    assert meter.read().loss["a"] == pytest.approx(loss.item(), rel=1e-12)


def test_the_first_loss_that_is_not_finite_is_reported_with_its_edge() -> None:
    meter = EpochMeter(program_of(plan()).phases[0], CPU)
    meter.update(output(1.0, 1.0, 1.0, 1.0, RIGHT), LABEL, 41)
    meter.update(output(1.0, math.inf, 1.0, 1.0, RIGHT), LABEL, 42)
    meter.update(output(math.nan, math.nan, math.nan, 1.0, RIGHT), LABEL, 43)
    assert meter.read().nonfinite == NonFinite("a", TA, step=42, value=math.inf)


def test_further_losses_that_are_not_finite_are_counted() -> None:
    meter = EpochMeter(program_of(plan()).phases[0], CPU)
    meter.update(output(math.nan, 1.0, math.nan, 1.0, RIGHT), LABEL, 7)
    found = meter.read().nonfinite
    assert found is not None
    assert (found.node, found.edge, found.step, found.others) == ("a", LA, 7, 1)
    assert math.isnan(found.value)


def test_a_nodes_loss_may_overflow_although_its_edges_do_not() -> None:
    meter = EpochMeter(program_of(plan()).phases[0], CPU)
    broken = output(3e38, 3e38, 1.0, 1.0, RIGHT)
    broken.losses["a"] = torch.tensor(math.inf)  # what 3e38 + 3e38 is in float32
    meter.update(broken, LABEL, 5)
    assert meter.read().nonfinite == NonFinite("a", None, step=5, value=math.inf)


class Reads(TorchFunctionMode):
    """Counts what brings a tensor's content to Python."""

    NAMES = frozenset({"tolist", "item", "numpy", "cpu", "__bool__", "__float__", "__int__"})

    def __init__(self) -> None:
        super().__init__()
        self.count: int = 0

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.count += getattr(function, "__name__", "") in self.NAMES
        return function(*args, **(kwargs or {}))


def test_a_meter_is_read_by_one_transfer() -> None:
    meter = EpochMeter(program_of(plan()).phases[0], CPU)
    with Reads() as reads:
        for k in range(1, 11):
            meter.update(output(1.0, 1.0, 1.0, 1.0, RIGHT), LABEL, k)
        assert reads.count == 0
        meter.read()
    assert reads.count == 1


def test_adding_a_step_does_not_wait_for_the_device() -> None:
    """Tensors on the meta device have no content: to look at one is an error."""
    meta = torch.device("meta")
    meter = EpochMeter(program_of(plan()).phases[0], meta)
    given = output(1.0, 1.0, 1.0, 1.0, RIGHT)
    on_meta = Output(
        {name: one.to(meta) for name, one in given.losses.items()},
        {key: one.to(meta) for key, one in given.edges.items()},
        {name: one.to(meta) for name, one in given.logits.items()},
        {key: one.to(meta) for key, one in given.open.items()},
    )
    meter.update(on_meta, LABEL.to(meta), 1)
    with pytest.raises((NotImplementedError, RuntimeError)):
        meter.read()


# Evaluation


class Answers(nn.Module):
    """Answers with its image, which is its logits; remembers the modes it was called in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.modes: list[tuple[bool, bool]] = []

    def forward(self, image: Tensor) -> Tensor:
        self.modes.append((self.training, torch.is_grad_enabled()))
        return image


def test_accuracy_is_over_all_labeled_samples() -> None:
    batches = [
        (answers(0, 1, 2), torch.tensor([0, 1, 1])),
        (answers(2, 2), torch.tensor([2, -1])),
    ]

    class Always0(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return answers(*[0] * len(image))

    assert evaluate(NetworkPredictor({"a": Answers(), "b": Always0()}), batches) == {
        "a": 75.0,
        "b": 25.0,
    }


def test_evaluation_restores_the_mode_of_every_module() -> None:
    learning, held, frozen = Answers().train(), Answers().train(), Answers().eval()
    held.norm.eval()
    evaluate(
        NetworkPredictor({"a": learning, "b": held, "t": frozen}), [(answers(0), torch.tensor([0]))]
    )
    assert learning.modes == held.modes == frozen.modes == [(False, False)]
    assert (learning.training, learning.norm.training) == (True, True)
    assert (held.training, held.norm.training) == (True, False)
    assert (frozen.training, frozen.norm.training) == (False, False)


def test_modes_are_restored_when_a_network_fails() -> None:
    class Fails(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            raise RuntimeError("out of memory")

    network = Fails().train()
    with pytest.raises(RuntimeError, match="out of memory"):
        evaluate(NetworkPredictor({"a": network}), [(answers(0), torch.tensor([0]))])
    assert network.training


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_found(broken: float) -> None:
    fine, other = nn.Linear(4, 3), nn.Linear(4, 3)
    with torch.no_grad():
        other.weight[1, 2] = broken
    assert finite([fine, other]) == [True, False]


def test_each_edge_has_a_name_of_its_own_in_the_lines_of_an_epoch() -> None:
    graph: Plan = ktgdsl.loads(
        """
        graph g {
            node a, b = resnet8
            target a
            edge label -> *
            edge b -> a
            edge a : -0.1 * entropy
            edge a -> a : mse
            edge b.stage1 -> a : rkd
            edge b.stage1 -> a.stage1 : attention
            edge b.stage1 -> a.stage2.pre : similarity
        }
        data digits { views = 2 }
        """
    )
    edges = {
        edge.key: EdgeMetrics(loss=k, open=1.0) for k, edge in enumerate(graph.graph.into("a"))
    }
    metrics = EpochMetrics(steps=1, loss={}, accuracy={}, edges=edges, nonfinite=None)
    done = EpochDone(1, metrics, "test", {"a": 50.0}, {}, None, last=True)
    (line,) = metric_lines(graph, 1, done)
    names = [
        *("label", "b", "a", "a -> a", "b.stage1"),
        *("b.stage1 -> a.stage1", "b.stage1 -> a.stage2.pre"),
    ]
    assert {name: each["loss"] for name, each in line["edges"].items()} == {
        name: k for k, name in enumerate(names)
    }
