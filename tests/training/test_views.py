"""Two views of each sample: what is read of which, and the same by every executor."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph, build
from ktgdsl.backend.side_by_side import side_by_side
from ktgdsl.backend.step_code import step_code
from ktgdsl.backend.streams import on_streams
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.program.pretraining import pretraining_plan
from ktgdsl.program.reads import placeholders_of
from ktgdsl.training.batches import numbered_batches
from ktgdsl.training.data import load_splits
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.events import EpochDone
from ktgdsl.training.execution import Choice, choose_execution
from ktgdsl.training.loop import ResumePoint
from ktgdsl.training.prepare import stepper
from ktgdsl.training.step import Stepper
from tests.specs import sound
from tests.trained import train_plan
from tests.training.test_captured import FakeRecording

CPU = torch.device("cpu")
VIEWS = "data digits { batch = 16 samples = 48 augment = paper views = 2 }"
DUAL_STUDENT = """
edge label -> *
edge a -> a : mse(on=probabilities) via 10 * rampup(5)
edge b -> b : mse(on=probabilities) via 10 * rampup(5)
edge a <-> b : mse(on=probabilities) via 100 * rampup(5) * stable(0.1) * steadier(0.1)
"""


def plan(edges: str = DUAL_STUDENT, train: str = "epochs = 2", data: str = VIEWS) -> Plan:
    return sound(f"graph g {{ node a, b = resnet8 target a {edges} }} {data} train {{ {train} }}")


def batch(step: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Images, labels of which one is unknown, and the second view."""
    stream = torch.Generator().manual_seed(step)
    image, other = torch.rand(2, 8, 1, 8, 8, generator=stream)
    label = torch.randint(10, (8,), generator=stream)
    label[3] = -1
    return image, label, other


def computed(graph: TrainingGraph, step: int = 0) -> list[Tensor]:
    """The inputs of a graph in step 1 of 4."""
    image, label, other = batch(step)
    return [image, label, torch.tensor(0.25, dtype=torch.float64), other][
        : len(placeholders_of(graph.update))
    ]


class Fixed(nn.Module):
    """A network that gives one table of logits for the first view and another for the second."""

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.tensor(z)) for z in (first, second))

    def forward(self, image: Tensor) -> Tensor:
        return self.first if image[0, 0, 0, 0] == 0 else self.second


class TestDualStudent:
    """The losses of both students in closed form."""

    B, C = 64, 10

    def logits(self, scale: float) -> dict[str, Fixed]:
        rng = np.random.default_rng(0)
        common = scale * rng.normal(size=(self.B, self.C))
        views = {name: [common + rng.normal(size=common.shape) for _ in "12"] for name in "ab"}
        views["b"][1][:8] = views["b"][0][:8]
        views["a"][0][:4] = views["a"][1][:4] = views["b"][0][:4]  # ties
        return {name: Fixed(*both) for name, both in views.items()}

    @pytest.mark.parametrize("scale", [1.0, 3.0])
    def test_the_losses_and_their_gradients(self, scale: float) -> None:
        networks = self.logits(scale)
        spec = plan(DUAL_STUDENT.replace("(0.1)", "(0.8)").replace("rampup(5)", "linear"))
        graph = build(spec, networks)
        image = torch.zeros(2, self.B, 1, 8, 8, dtype=torch.float64)
        image[1] += 1
        label = torch.full((self.B,), -1)
        output = graph(image[0], label, torch.tensor(0.5, dtype=torch.float64), image[1])
        p = {}
        for name, network in networks.items():
            z = np.stack([network.first.detach().numpy(), network.second.detach().numpy()])
            e = np.exp(z - z.max(-1, keepdims=True))
            p[name] = e / e.sum(-1, keepdims=True)

        def is_stable(name: str) -> Any:
            same = p[name][0].argmax(1) == p[name][1].argmax(1)
            return same & ((p[name][0].max(1) > 0.8) | (p[name][1].max(1) > 0.8))

        def spread(name: str) -> Any:
            return ((p[name][0] - p[name][1]) ** 2).sum(1)

        kinds = set()
        for name, peer in (("a", "b"), ("b", "a")):
            learns = is_stable(peer) & ~(is_stable(name) & (spread(peer) > spread(name)))
            kinds |= set(zip(is_stable(peer), is_stable(name), learns, strict=True))
            stabilised = np.mean(learns * ((p[name][0] - p[peer][0]) ** 2).mean(1))
            consistent = np.mean((p[name][0] - p[name][1]) ** 2)
            assert output.edges[peer, name].item() == pytest.approx(50 * stabilised, abs=1e-12)
            assert output.edges[name, name].item() == pytest.approx(5 * consistent, abs=1e-12)
            assert output.open[peer, name].item() == pytest.approx(learns.mean())
        if scale == 3:  # every case occurs; a tie teaches both
            assert len(kinds) == 5
            assert is_stable("a")[:4].any()
        output.losses["a"].backward()
        # d/dz of 5 mean (p - q)² + 50 mean w (p - r)²: p (v - <p, v>) with v by p.
        first, other, peer_p = p["a"][0], p["a"][1], p["b"][0]
        learns = is_stable("b") & ~(is_stable("a") & (spread("b") > spread("a")))
        v = 2 * (5 * (first - other) + 50 * learns[:, None] * (first - peer_p)) / (self.B * self.C)
        gradient = first * (v - (first * v).sum(1, keepdims=True))
        reached = networks["a"].first.grad
        assert reached is not None
        np.testing.assert_allclose(reached, gradient, atol=1e-12)
        assert networks["a"].second.grad is None
        assert networks["b"].first.grad is networks["b"].second.grad is None


def test_labels_and_accuracy_see_the_first_view() -> None:
    graph = build(plan("edge label -> * edge b -> a : kl via stable(0)"))
    one, two = (graph(*computed(graph)) for _ in range(2))
    image, label, progress, other = computed(graph)
    swapped = graph(other, label, progress, image)
    alone = graph(image, label, progress, image)
    assert torch.equal(one.logits["a"], two.logits["a"])
    for name in "ab":
        assert torch.equal(one.logits[name], alone.logits[name])
        assert torch.equal(one.edges["label", name], alone.edges["label", name])
        assert not torch.equal(one.edges["label", name], swapped.edges["label", name])


def test_an_edge_between_two_taps_of_a_node_is_within_the_first_view() -> None:
    edges = "edge label -> * edge b -> a edge a.stage1 -> a.stage2 : similarity"
    graph = build(plan(edges))
    assert [each.name for each in placeholders_of(graph.update)] == ["image", "label", "progress"]


def test_batch_norm_sees_the_first_view_and_then_the_second() -> None:
    graph = build(plan(), seed=1)
    image, label, progress, other = computed(graph)
    alone = build(plan("edge label -> * edge b -> a"), seed=1)
    for view in (image, other):
        alone(view, label, progress)
    graph(image, label, progress, other)
    for name, network in graph.networks.items():
        for key, value in network.named_buffers():
            assert torch.equal(value, alone.networks[name].get_buffer(key)), (name, key)


def states(graph_or_step: TrainingGraph | Stepper) -> dict[str, Tensor]:
    return {
        f"{node}.{name}": value.clone()
        for node, network in graph_or_step.networks.items()
        for name, value in network.state_dict().items()
    }


def assert_equal_states(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_networks_side_by_side_are_what_they_are_one_after_the_other() -> None:
    edges = f"{DUAL_STUDENT} edge b.stage1 -> b.stage1 : attention"

    def trained(*, together: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        graph = build(plan(edges), seed=0)
        compute = side_by_side(graph, 1) if together else graph
        torch.autograd.backward([*compute(*computed(graph)).losses.values()])
        gradients = {name: each.grad for name, each in graph.named_parameters()}
        return states(graph), {name: g for name, g in gradients.items() if g is not None}

    (one, slopes), (other, expected) = trained(together=True), trained(together=False)
    assert_equal_states(one, other)
    for name, slope in slopes.items():
        torch.testing.assert_close(slope, expected[name], rtol=1e-4, atol=1e-7)


def test_a_captured_step_reads_the_second_view_of_its_own_batch() -> None:
    def trained(launches: str) -> dict[str, Tensor]:
        networks = build(plan(), seed=0).networks
        execution = replace(
            choose_execution(plan(), CPU),
            networks=Choice("one by one", "a test"),
            launches=Choice(launches, "a test"),
        )
        step = Stepper(plan(), program_of(plan()), networks, CPU, execution, record=FakeRecording)
        for number in range(3):
            image, label, other = batch(number)
            step(image, label, second_view=other)
        return states(step)

    plain = trained("each")
    for name, value in trained("captured").items():
        torch.testing.assert_close(value, plain[name], rtol=1e-4, atol=1e-5)


def test_the_graph_compiles_as_a_whole() -> None:
    spec = sound(
        "graph g { node a = resnet8 target a edge label -> a edge a -> a : mse via stable }" + VIEWS
    )
    graph, other = (build(spec, seed=0) for _ in range(2))
    compiled = torch.compile(graph, backend="eager", fullgraph=True)
    for compute, own in ((compiled, graph), (other, other)):
        torch.autograd.backward([*compute(*computed(own)).losses.values()])
    expected = states(other)
    for name, value in states(graph).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)
    for one, two in zip(graph.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
def test_the_code_that_is_printed_is_what_runs(update: str) -> None:
    spec = plan(train=f"update = {update}")
    code = step_code(spec)
    assert "self.second_view_of_node_a(second_view)" in code
    steps = stepper(spec, "cpu", seed=0), stepper(spec, "cpu", seed=0)
    graphs = steps[1]._step.graphs
    parts = code.split("\n\n\n")  # imports, then a function, of each graph
    assert code.count("def forward") == len(graphs)
    for graph in graphs:
        scope: dict[str, object] = {}
        exec(graph.code, scope)
        assert graph.code.strip() in code
        forward = scope["forward"]
        inputs = computed(graph)
        before = states(graph)
        assert callable(forward)
        by_hand = forward(graph, *inputs)
        for node, network in graph.networks.items():
            network.load_state_dict({key: before[f"{node}.{key}"] for key in network.state_dict()})
        output = graph(*inputs)
        for key, value in output.edges.items():
            assert torch.equal(value, by_hand.edges[key])
    assert len(parts) > 1


def test_a_step_without_the_second_view_says_what_is_missing() -> None:
    step = stepper(plan(), "cpu")
    with pytest.raises(TypeError, match=r"`step\(image, label, second_view=other\)`"):
        step(*batch()[:2])
    assert step.taken == 0


def test_in_turn_statistics_move_in_a_nodes_own_update() -> None:
    spec = plan(train="update = sequential epochs = 2")
    step, alone = stepper(spec, "cpu", seed=0), build(plan("edge label -> * edge b -> a"), seed=0)
    image, label, other = batch()
    for view in (image, other):
        alone(view, label, torch.tensor(0.25))
    step(image, label, second_view=other)
    for name, network in step.networks.items():
        for key, value in network.named_buffers():
            torch.testing.assert_close(value, alone.networks[name].get_buffer(key))


def test_a_run_resumes_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))

    spec = plan(data=VIEWS.replace("views = 2", "views = 2 labeled = 10 labeled_batch = 4"))

    def keep(done: EpochDone, step: Stepper) -> None:
        assert done.metrics.steps == 3  # 38 // 12
        torch.save(step.state_dict(), tmp_path / f"{done.epoch}.pt")

    with deterministically(enabled=True):
        whole = train_plan(spec, on_epoch=keep)
        state = torch.load(tmp_path / "1.pt", weights_only=True)
        resumed = train_plan(spec, resume=ResumePoint(1, state))
        # By hand: the same steps on both views of the batches of both epochs.
        step = stepper(spec, "cpu", seed=0)
        split = load_splits(spec.data, 0, CPU).train
        for epoch in (1, 2):
            for drawn in numbered_batches(split, 16, 0, epoch, labeled=4, views=2):
                step(*drawn)
    assert_equal_states(states(whole.stepper), states(resumed.stepper))
    assert_equal_states(states(whole.stepper), states(step))


def test_a_phase_that_reads_one_view_draws_one() -> None:
    edges = "edge label -> * edge b -> a : kl via stable * during(second)"
    more = f"{VIEWS} phase first {{ learn = [a, b] }} phase second {{ learn = [a] }}"
    step = stepper(plan(edges, data=more, train="epochs = 1"), "cpu")
    assert step.views == 1
    step.end_phase()
    assert step.views == 2


def test_the_views_are_part_of_the_digest() -> None:
    one = plan("edge label -> * edge b -> a")
    other = plan("edge label -> * edge b -> a", data=VIEWS.replace("views = 2", ""))
    assert one.digest != other.digest
    assert one.canonical_digest != other.canonical_digest


def test_shared_layers_are_called_once_on_each_view() -> None:
    shared = build(plan(f"share a, b {{ layers = [stem, stage1] }} {DUAL_STUDENT}"), seed=0)
    trunks = [call for call in shared.update.calls if call.trunk is not None]
    assert [call.view for call in trunks] == [0, 1]
    alone = build(plan(), {name: deepcopy(each) for name, each in shared.networks.items()})
    outputs = [each(*computed(each)) for each in (shared, alone)]
    for key, value in outputs[1].edges.items():
        torch.testing.assert_close(outputs[0].edges[key], value, rtol=1e-5, atol=1e-6)
    for name, value in shared.networks["a"].named_buffers():
        torch.testing.assert_close(value, alone.networks["a"].get_buffer(name))


def test_a_teacher_is_pretrained_alike_with_one_view_and_two() -> None:
    edges = "node t = resnet8 edge label -> a edge t -> a : kl via stable(0)"
    two = plan(edges)
    one = plan(edges.replace(" via stable(0)", ""), data=VIEWS.replace("views = 2", ""))
    plans = [pretraining_plan(each, each.graph.node("t"), 0) for each in (two, one)]
    assert plans[0].digest == plans[1].digest


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_networks_on_streams_are_what_they_are_one_after_the_other() -> None:
    device = torch.device("cuda")

    def trained(*, together: bool) -> dict[str, Tensor]:
        graph = build(plan(), seed=0).to(device)
        compute = on_streams(graph, device) if together else graph
        inputs = [each.to(device) for each in computed(graph)]
        torch.autograd.backward([*compute(*inputs).losses.values()])
        return states(graph)

    expected = trained(together=False)
    for name, value in trained(together=True).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)
