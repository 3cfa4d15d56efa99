"""`update = sequential` and `on_zero = skip`: the order of updates, and skipped ones."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import ktgdsl
from ktgdsl.backend.graph import build, phase_graphs
from ktgdsl.backend.networks import make
from ktgdsl.cli.main import main
from ktgdsl.plan.model import Call, Plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.program.pretraining import pretraining_plan
from ktgdsl.training.batches import batches
from ktgdsl.training.data import load_splits
from ktgdsl.training.prepare import stepper
from ktgdsl.training.step import Stepper
from tests.plans import CORRECT, adamw, edge, sgd, tiny_plan, wrn10
from tests.training.test_step import WAITING, assert_equal, operators, take, through_a_file, weights

CPU = torch.device("cpu")
Array = NDArray[np.float64]
PLAIN = sgd(lr=0.5, momentum=0.0, nesterov=False, weight_decay=0.0)
THREE = {"classes": 3}  # of what Linear and Wrong say
MUTUAL = [("label", "a"), ("label", "b"), ("a", "b"), ("b", "a")]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))


class Linear(nn.Module):
    """Logits W x of images of four pixels, with the running mean of a batch norm beside them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        stream = torch.Generator().manual_seed(seed)
        self.w = nn.Parameter(torch.randn(3, 4, generator=stream, dtype=torch.float64))
        self.norm = nn.BatchNorm1d(3, momentum=1.0, affine=False, dtype=torch.float64)

    def forward(self, image: Tensor) -> Tensor:
        logits = image.flatten(1) @ self.w.T
        self.norm(logits)  # for its statistics: the mean of the last batch that moved them
        return logits

    @property
    def matrix(self) -> Array:
        copy: Array = self.w.detach().numpy().copy()
        return copy

    @property
    def mean(self) -> Array:
        assert self.norm.running_mean is not None
        copy: Array = self.norm.running_mean.numpy().copy()
        return copy


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def kl(p: Array, q: Array) -> Array:
    return np.asarray((p * np.log(p / q)).sum(1).mean())


def random_batch(n: int = 6) -> tuple[Tensor, Tensor]:
    torch.manual_seed(5)
    return torch.rand(n, 1, 2, 2, dtype=torch.float64), torch.randint(3, (n,))


def digits_of(plan: Plan, steps: int) -> list[tuple[Tensor, Tensor]]:
    split = load_splits(plan.data, 0, CPU).train
    return [batch for batch, _ in zip(batches(split, 16, 0, 1), range(steps), strict=False)]


def resnet8() -> nn.Module:
    return make("resnet", {"depth": 8}, 1, 10)


# Turns


def test_a_step_is_algorithm_1_of_the_dml_paper() -> None:
    """b learns from what a says after a's own update, and a in the next step from that b."""
    plan = tiny_plan("ab", MUTUAL, targets="ab", data=THREE, optimizer=PLAIN, update="sequential")
    networks = {"a": Linear(0), "b": Linear(1)}
    W_a, W_b = networks["a"].matrix, networks["b"].matrix
    image, label = random_batch()
    x, y = image.flatten(1).numpy(), np.eye(3)[label.numpy()]
    step = stepper(plan, "cpu", networks=networks)
    for _ in range(3):
        output = step(image, label)
        p_a, p_b = softmax(x @ W_a.T), softmax(x @ W_b.T)
        np.testing.assert_allclose(output.edges["b", "a"].item(), kl(p_b, p_a), rtol=1e-12)
        np.testing.assert_allclose(output.logits["a"].numpy(), x @ W_a.T, rtol=1e-12)
        W_a = W_a - 0.5 * ((p_a - y) + (p_a - p_b)).T @ x / 6
        p_a = softmax(x @ W_a.T)
        np.testing.assert_allclose(output.edges["a", "b"].item(), kl(p_a, p_b), rtol=1e-12)
        ce = -(y * np.log(p_b)).sum(1).mean()
        np.testing.assert_allclose(output.losses["b"].item(), ce + kl(p_a, p_b), rtol=1e-12)
        W_b = W_b - 0.5 * ((p_b - y) + (p_b - p_a)).T @ x / 6
        np.testing.assert_allclose(networks["a"].matrix, W_a, rtol=1e-12)
        np.testing.assert_allclose(networks["b"].matrix, W_b, rtol=1e-12)


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_nodes_are_updated_in_the_order_of_declaration(names: str) -> None:
    first, second = list(names)
    plan = tiny_plan(names, MUTUAL, targets=names, data=THREE, optimizer=PLAIN, update="sequential")
    networks = {"a": Linear(0), "b": Linear(1)}
    before = {name: softmax(logits(network)) for name, network in networks.items()}
    output = stepper(plan, "cpu", networks=networks)(*random_batch())
    after = softmax(logits(networks[first]))
    taught = output.edges[second, first].item()
    np.testing.assert_allclose(taught, kl(before[second], before[first]), rtol=1e-12)
    taught = output.edges[first, second].item()
    np.testing.assert_allclose(taught, kl(after, before[second]), rtol=1e-12)


def logits(network: Linear) -> Array:
    return np.asarray(random_batch()[0].flatten(1).numpy() @ network.matrix.T)


def test_batch_norm_statistics_change_once_a_step_in_the_nodes_own_update() -> None:
    plan = tiny_plan("ab", MUTUAL, targets="ab", data=THREE, optimizer=PLAIN, update="sequential")
    networks = {"a": Linear(0), "b": Linear(1)}
    before = {name: logits(network).mean(0) for name, network in networks.items()}
    stepper(plan, "cpu", networks=networks)(*random_batch())
    for name, network in networks.items():
        # b is computed again after a's update and a after its own, which leaves no trace.
        np.testing.assert_allclose(network.mean, before[name], rtol=1e-12)
        assert network.norm.num_batches_tracked == 1
        assert network.norm.track_running_stats


def counting(step: Stepper) -> Counter[str]:
    count: Counter[str] = Counter()

    def counted(name: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            # A source has no graph for gradients.
            count[f"{name} {'learns' if torch.is_grad_enabled() else 'is computed'}"] += 1

        return hook

    for name, network in step.networks.items():
        network.register_forward_hook(counted(name))
    return count


def test_an_update_computes_the_sources_of_its_node_only() -> None:
    edges = [*MUTUAL, ("label", "c"), ("t", "c"), ("c", "b")]
    settings = {name: {"frozen": "frozen = true", "keep": True} for name in "tu"}
    plan = tiny_plan("abctu", edges, settings=settings, targets="abc", update="sequential")
    step = stepper(plan, "cpu", networks={name: resnet8() for name in "tu"})
    count = counting(step)
    output = step(*digits_of(plan, 1)[0])
    assert count == {
        "a learns": 1, "b is computed": 1, "u is computed": 1,  # u is no source, and is reported
        "b learns": 1, "a is computed": 1, "c is computed": 1,
        "c learns": 1, "t is computed": 1,
    }  # fmt: skip
    assert set(output.logits) == set("abctu")
    assert set(output.losses) == set("abc")
    assert set(output.edges) == {edge.key for edge in plan.graph.edges}
    assert not any(z.requires_grad for z in output.logits.values())


def test_all_nodes_of_an_update_but_frozen_ones_are_in_train_mode() -> None:
    edges = [*MUTUAL, ("t", "a")]
    settings = {"t": {"frozen": "frozen = true"}}
    plan = tiny_plan("abt", edges, settings=settings, targets="ab", update="sequential")
    step = stepper(plan, "cpu", networks={"t": resnet8()})
    modes: dict[str, set[bool]] = {name: set() for name in "abt"}
    for name, network in step.networks.items():
        network.register_forward_pre_hook(lambda net, _, name=name: modes[name].add(net.training))
    teacher = weights(step, "t")
    take(step, digits_of(plan, 2))
    assert modes == {"a": {True}, "b": {True}, "t": {False}}
    assert_equal(weights(step, "t"), teacher)


def test_statistics_of_a_frozen_node_in_train_mode_change_once_a_step() -> None:
    edges = [*MUTUAL, ("t", "a"), ("t", "b")]
    settings = {"t": {"frozen": "frozen = true", "mode": "train"}}
    plan = tiny_plan("abt", edges, settings=settings, targets="ab", update="sequential")
    step = stepper(plan, "cpu", networks={"t": resnet8()})
    take(step, digits_of(plan, 3))
    assert weights(step, "t")["stem.1.num_batches_tracked"] == 3


@pytest.mark.parametrize("optimizer", [sgd(), adamw()], ids=["sgd", "adamw"])
def test_without_transfer_sequential_updates_equal_simultaneous_ones(optimizer: Call) -> None:
    settings = {"b": {"network": wrn10(dropout=0.3)}}
    trained = []
    for update in ("simultaneous", "sequential"):
        plan = tiny_plan(
            "ab", settings=settings, targets="ab", optimizer=optimizer, clip=1.0, update=update
        )
        trained.append(take(stepper(plan, "cpu"), digits_of(plan, 4)))
    for name in "ab":
        assert_equal(weights(trained[0], name), weights(trained[1], name))


def test_a_resumed_stepper_is_bit_equal() -> None:
    plan = tiny_plan(
        ["a", "b"],
        MUTUAL,
        settings={"b": {"network": wrn10(dropout=0.4), "optimizer": adamw()}},
        targets=["a", "b"],
        update="sequential",
        on_zero="skip",
    )
    given = digits_of(plan, 4)
    whole = take(stepper(plan, "cpu", steps=4), given)
    state = through_a_file(take(stepper(plan, "cpu", steps=4), given[:2]).state_dict())
    second = stepper(plan, "cpu", steps=4)
    second.load_state_dict(state)
    take(second, given[2:])
    for name in "ab":
        assert_equal(weights(whole, name), weights(second, name))


def test_nodes_with_similar_names_keep_their_networks() -> None:
    """`a_b` and `a[b]` would share an attribute, which one of them does not keep in its turn."""
    names = ["p_0", "p[0]"]
    edges = [("label", "p_0"), ("label", "p[0]"), ("p[0]", "p_0")]
    plan = tiny_plan(names, edges, targets=names, update="sequential")
    networks = build(plan).networks
    made = phase_graphs(plan, program_of(plan).phases[0], networks, {})
    assert [turn.update.learns for turn in made] == [(name,) for name in names]
    for turn in made:
        for each, network in turn.networks.items():
            assert network is networks[each], (turn.update.learns, each)


def test_the_code_of_every_update_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "dml.ktg"
    body = "graph dml { node a, b = resnet8 target a edge label -> * edge a <-> b : kl }"
    spec.write_text(f"{body} train {{ update = sequential }}\n")
    assert main(["build", str(spec)]) == 0
    out = capsys.readouterr().out
    first, second = out.split("# The turn of b\n")
    assert first.startswith("# The turn of a\n")
    assert ("loss_a" in first, "loss_b" in first) == (True, False)
    assert ("loss_a" in second, "loss_b" in second) == (False, True)
    spec.write_text(f"{body}\n")
    assert main(["build", str(spec)]) == 0
    assert "The turn of" not in capsys.readouterr().out


def test_pretraining_is_the_same_whatever_the_update() -> None:
    plans = [tiny_plan("ab", update=update) for update in ("simultaneous", "sequential")]
    digests = {pretraining_plan(plan, plan.graph.node("b"), 0).digest for plan in plans}
    assert len(digests) == 1


def test_a_run_with_sequential_updates_learns(tmp_path: Path) -> None:
    text = """
        graph dml { node a, b = resnet8 target a edge label -> * edge a <-> b : kl }
        train { epochs = 2 update = sequential on_zero = skip schedule = constant }
    """
    result = ktgdsl.run(ktgdsl.loads(text), out=tmp_path / "run", device="cpu")
    assert result.nodes["a"].accuracy.mean > 50  # of ten classes


# on_zero = skip


class Wrong(nn.Module):
    """A teacher that says class 2, and is right where that is the label."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.tensor([[0.0, 0.0, 9.0]], dtype=torch.float64).expand(len(image), 3)


def zeros_and_others(n: int) -> list[tuple[Tensor, Tensor]]:
    """Batches of which the second and the fourth have no sample that the teacher gets right."""
    image, _ = random_batch()
    labels = [2, 0, 2, 1]
    return [(image * (k + 1), torch.full((len(image),), labels[k % 4])) for k in range(n)]


def taught(optimizer: Call, **train: Any) -> tuple[Stepper, Linear]:
    plan = tiny_plan(
        ["a", "b"],
        [edge("b", "a", CORRECT)],
        settings={"b": {"frozen": "frozen = true"}},
        data=THREE,
        optimizer=optimizer,
        **train,
    )
    network = Linear(0)
    return stepper(plan, "cpu", networks={"a": network, "b": Wrong()}), network


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
@pytest.mark.parametrize("first", [0, 1], ids=["from a loss", "from a zero"])
@pytest.mark.parametrize(
    "optimizer", [sgd(weight_decay=0.1), sgd(momentum=0, nesterov=False), adamw()],
    ids=["nesterov", "plain", "adamw"],
)  # fmt: skip
def test_a_node_whose_loss_is_zero_is_not_updated(optimizer: Call, first: int, update: str) -> None:
    """The same as if the batches with a loss of zero had never come."""
    given = zeros_and_others(8)[first:]
    step, network = taught(optimizer, on_zero="skip", update=update)
    losses = [step(image, label).losses["a"].item() for image, label in given]
    assert [loss == 0 for loss in losses] == [bool((k + first) % 2) for k in range(len(given))]
    other, reference = taught(optimizer)
    for batch, loss in zip(given, losses, strict=True):
        if loss != 0:
            other(*batch)
    np.testing.assert_array_equal(network.matrix, reference.matrix)


def test_the_other_nodes_are_updated() -> None:
    edges = [edge("t", "a", CORRECT), edge("label", "b")]
    settings = {"t": {"frozen": "frozen = true"}}
    plan = tiny_plan("abt", edges, settings=settings, targets="ab", data=THREE, on_zero="skip")
    networks: Mapping[str, nn.Module] = {"a": Linear(0), "b": Linear(1), "t": Wrong()}
    before = {name: network.state_dict()["w"].clone() for name, network in networks.items()
              if name != "t"}  # fmt: skip
    image, label = zeros_and_others(2)[1]
    stepper(plan, "cpu", networks=networks)(image, label)
    after = {name: networks[name].state_dict()["w"] for name in before}
    assert torch.equal(after["a"], before["a"])
    assert not torch.equal(after["b"], before["b"])


def test_a_node_whose_loss_is_nearly_zero_is_updated() -> None:
    text = """
        graph g { node a, b = resnet8 node t = resnet8 { frozen = true }
                  target a, b edge t -> a, b : kl via 1e-30 }
        train { on_zero = skip }
    """
    step = ktgdsl.stepper(ktgdsl.loads(text), "cpu", networks={"t": resnet8()})
    before = weights(step, "a")["logits.weight"]
    out = step(torch.rand(4, 1, 8, 8), torch.arange(4))
    assert 0 < out.losses["a"].item() < 1e-25
    assert not torch.equal(weights(step, "a")["logits.weight"], before)  # the weight decay


def test_a_gradient_that_is_not_a_number_does_not_change_a_skipped_node() -> None:
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, z: Tensor) -> Tensor:
            return z.clone()

        @staticmethod
        def backward(ctx: object, *slopes: Tensor) -> Tensor:
            return torch.full_like(slopes[0], torch.nan)

    class Breaking(Linear):
        def forward(self, image: Tensor) -> Tensor:
            z: Tensor = Broken.apply(super().forward(image))
            return z

    plan = tiny_plan(
        ["a", "b"],
        [edge("b", "a", CORRECT)],
        settings={"b": {"frozen": "frozen = true"}},
        data=THREE,
        on_zero="skip",
    )
    network = Breaking(0)
    before = network.matrix
    step = stepper(plan, "cpu", networks={"a": network, "b": Wrong()})
    step(*zeros_and_others(2)[1])
    np.testing.assert_array_equal(network.matrix, before)


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
@pytest.mark.parametrize("optimizer", [sgd(), adamw()], ids=["sgd", "adamw"])
def test_updates_and_skipping_never_wait_for_the_device(optimizer: Call, update: str) -> None:
    plan = tiny_plan(
        "ab", MUTUAL, targets="ab", optimizer=optimizer, update=update, on_zero="skip", clip=1.0
    )
    step = stepper(plan, "cpu")
    given = digits_of(plan, 2)
    seen = operators(lambda: take(step, given))
    assert seen["aten::where"] > 0
    assert not WAITING & seen.keys()
