"""Shared layers in training: against networks with several heads that are written by hand."""

import copy
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

import ktgdsl
from ktgdsl.backend.networks import StagedNetwork, make
from ktgdsl.backend.trunks import logits_of
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.program.pretraining import pretraining_plan
from ktgdsl.training.events import PretrainDone, PretrainStarted
from ktgdsl.training.loop import ResumePoint
from ktgdsl.training.metrics import evaluate
from ktgdsl.training.predictions import NetworkPredictor
from ktgdsl.training.prepare import stepper
from tests.specs import of, sound
from tests.trained import train_plan

CPU = torch.device("cpu")
STAGES = StagedNetwork.stages
Batch = tuple[Tensor, Tensor]
PLAIN = "optimizer = sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=5e-4)"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))


def two(share: str, more: str = "", train: str = "") -> Plan:
    """Two heads that teach each other, on the smallest images."""
    body = f"node a, b = resnet(8, width=4) target a edge label -> * edge a <-> b {more}"
    return of(f"{body} {share}", f"train {{ {PLAIN} schedule = constant {train} }}")


def doubles(*names: str) -> dict[str, nn.Module]:
    """A network of each name, in float64."""
    made: dict[str, nn.Module] = {}
    for number, name in enumerate(names):
        torch.manual_seed(number)
        made[name] = make("resnet", {"depth": 8, "width": 4}, 1, 10).double()
    return made


def given(steps: int, count: int = 8) -> list[Batch]:
    torch.manual_seed(7)
    return [
        (torch.rand(count, 1, 8, 8, dtype=torch.float64), torch.randint(10, (count,)))
        for _ in range(steps)
    ]


def stages(network: nn.Module, names: tuple[str, ...]) -> nn.Sequential:
    return nn.Sequential(*(network.get_submodule(name) for name in names))


def kl(source: Tensor, destination: Tensor) -> Tensor:
    p = source.detach().log_softmax(1)
    return kl_div(destination.log_softmax(1), p, log_target=True, reduction="batchmean")


def loss(logits: dict[str, Tensor], name: str, label: Tensor) -> Tensor:
    """What node `name` learns from the label and all others."""
    others = [kl(logits[each], logits[name]) for each in logits if each != name]
    return cross_entropy(logits[name], label) + sum(others, torch.zeros(()))


def sgd(parameters: Any, lr: float = 0.1) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4)


def assert_near(one: nn.Module, other: nn.Module) -> None:
    for mine, theirs in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


# Closed forms


@pytest.mark.parametrize("grad", ["sum", "mean"])
def test_a_trunk_with_two_heads_is_trained_as_one_written_by_hand(grad: str) -> None:
    networks = doubles("a", "b")
    trunk = copy.deepcopy(stages(networks["a"], STAGES[:3]))
    heads = {name: copy.deepcopy(stages(networks[name], STAGES[3:])) for name in "ab"}
    plan = two(f"share a, b {{ layers = [stem, stage1, stage2] grad = {grad} }}")
    step = stepper(plan, CPU, networks=networks)
    optimizer = sgd([each for part in (trunk, *heads.values()) for each in part.parameters()])
    for image, label in given(5):
        output = step(image, label)
        x = trunk(image)
        logits = {name: head(x) for name, head in heads.items()}
        losses = {name: loss(logits, name, label) for name in heads}
        optimizer.zero_grad()
        torch.autograd.backward([*losses.values()])
        if grad == "mean":
            for each in trunk.parameters():
                assert each.grad is not None
                each.grad /= 2
        optimizer.step()
        for name, value in losses.items():
            torch.testing.assert_close(output.losses[name], value.detach(), rtol=1e-12, atol=1e-12)
    for name, network in step.networks.items():
        assert_near(stages(network, STAGES[:3]), trunk)
        assert_near(stages(network, STAGES[3:]), heads[name])
    assert step.networks["a"].get_submodule("stage2") is step.networks["b"].get_submodule("stage2")


@pytest.mark.parametrize("grad", ["sum", "mean"])
def test_a_trunk_on_a_trunk(grad: str) -> None:
    """a, b and c share the stem, a and b more; each layer adds or averages its own sharers'."""
    networks = doubles("a", "b", "c")
    parts = {
        "stem": copy.deepcopy(stages(networks["a"], STAGES[:1])),
        "more": copy.deepcopy(stages(networks["a"], STAGES[1:3])),
        "a": copy.deepcopy(stages(networks["a"], STAGES[3:])),
        "b": copy.deepcopy(stages(networks["b"], STAGES[3:])),
        "c": copy.deepcopy(stages(networks["c"], STAGES[1:])),
    }
    plan = of(
        "node a, b, c = resnet(8, width=4) target a edge label -> * edge * -> *\n"
        f"share a, b {{ layers = [stem, stage1, stage2] grad = {grad} }}\n"
        f"share a, c {{ layers = [stem] grad = {grad} }}",
        f"train {{ {PLAIN} schedule = constant }}",
    )
    step = stepper(plan, CPU, networks=networks)
    optimizer = sgd([each for part in parts.values() for each in part.parameters()])
    for image, label in given(3):
        output = step(image, label)
        stem = parts["stem"](image)
        more = parts["more"](stem)
        logits = {"a": parts["a"](more), "b": parts["b"](more), "c": parts["c"](stem)}
        losses = {name: loss(logits, name, label) for name in logits}
        optimizer.zero_grad()
        torch.autograd.backward([*losses.values()])
        for name, sharers in ("stem", 3), ("more", 2):
            for each in parts[name].parameters():
                assert each.grad is not None
                each.grad /= sharers if grad == "mean" else 1
        optimizer.step()
        for name, value in losses.items():
            torch.testing.assert_close(output.losses[name], value.detach(), rtol=1e-12, atol=1e-12)
    assert_near(stages(step.networks["c"], STAGES[:1]), parts["stem"])
    assert_near(stages(step.networks["b"], STAGES[1:3]), parts["more"])
    for name in "ab":
        assert_near(stages(step.networks[name], STAGES[3:]), parts[name])
    assert_near(stages(step.networks["c"], STAGES[1:]), parts["c"])


def test_a_feature_loss_in_a_trunk_reaches_it_as_the_loss_of_its_node() -> None:
    """From a frozen teacher to a place inside of the trunk: the mean over both sharers."""
    networks = doubles("a", "b", "t")
    trunk = copy.deepcopy(stages(networks["a"], STAGES[:3]))
    plan = of(
        "node a, b = resnet(8, width=4) node t = resnet(8, width=4) { frozen = true } target a\n"
        "share a, b { layers = [stem, stage1, stage2] grad = mean }\n"
        "edge label -> a, b edge t.stage1 -> a.stage1 : 10 * similarity"
    )
    step = stepper(plan, CPU, networks=networks)
    image, label = given(1)[0]
    output = step.graph(image, label, 1.0)
    transfer = output.edges["t.stage1", "a.stage1"]
    parameters = [*stages(networks["a"], STAGES[:2]).parameters()]
    found = torch.autograd.grad(transfer, parameters)

    def rows(features: Tensor) -> Tensor:
        flat = features.flatten(1)
        return nn.functional.normalize(flat @ flat.T, dim=1)

    teacher = stages(networks["t"], STAGES[:2]).eval()(image).detach()
    theirs = rows(teacher) - rows(trunk[:2](image))
    want = torch.autograd.grad(
        10 * theirs.square().sum() / len(image) ** 2, [*trunk[:2].parameters()]
    )
    for mine, other in zip(found, want, strict=True):
        torch.testing.assert_close(mine, other / 2, rtol=1e-9, atol=1e-12)


# What is computed, and what changes


def counted(network: nn.Module, names: tuple[str, ...]) -> dict[str, int]:
    """Counts the calls of submodules from here on."""
    counts = dict.fromkeys(names, 0)

    def count(name: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            counts[name] += 1

        return hook

    for name in names:
        network.get_submodule(name).register_forward_hook(count(name))
    return counts


def test_a_trunk_is_called_once_a_step_and_once_a_batch_of_an_evaluation() -> None:
    plan = two("share a, b { layers = [stem, stage1] }")
    step = stepper(plan, CPU)
    counts = counted(step.networks["b"], STAGES[:3])
    image, label = given(1)[0]
    step(image.float(), label)
    assert counts == {"stem": 1, "stage1": 1, "stage2": 1}
    evaluate(NetworkPredictor(step.networks), [(image.float(), label)])
    assert counts == {"stem": 2, "stage1": 2, "stage2": 2}


def test_evaluation_gives_what_each_whole_network_says() -> None:
    plan = of(
        "node a, b, c, d = wrn10_1 target a edge label -> * edge a, c, d -> b\n"
        "share a, b { layers = [stem, stage1] } share c, a { layers = [stem] }"
    )
    step = stepper(plan, CPU)
    image, label = given(1, 64)[0]
    step(image.float(), label)
    alone = {
        name: evaluate(NetworkPredictor({name: network}), [(image.float(), label)])[name]
        for name, network in step.networks.items()
    }
    assert evaluate(NetworkPredictor(step.networks), [(image.float(), label)]) == alone
    with torch.no_grad():
        together = logits_of([*step.networks.values()], image.float())
        for network, logits in zip(step.networks.values(), together, strict=True):
            assert torch.equal(network(image.float()), logits)


def test_each_parameter_is_trained_by_one_optimiser_once() -> None:
    plan = two("share a, b { layers = [stem, stage1, stage2] }")
    step = stepper(plan, CPU)
    groups = step.state_dict()["optimizers"]["sgd"]["param_groups"]
    trained = {group["node"]: len(group["params"]) for group in groups}
    parts = [stages(step.networks["a"], part) for part in (STAGES[:3], STAGES[3:])]
    trunk, head = (len([*part.parameters()]) for part in parts)
    assert trained == {"a": head, "b": head, "a.stage2": trunk}


def test_the_first_sharer_says_initial_values_optimiser_and_schedule() -> None:
    body = (
        "node a = resnet8 node b = resnet8 { optimizer = sgd(lr=1e-30) } target a\n"
        "edge label -> * edge b -> a share b, a { layers = [stem] }"
    )
    step = stepper(of(body), CPU, seed=3)
    alone = stepper(of(body.partition("share")[0]), CPU, seed=3)
    before = copy.deepcopy(step.networks["a"])
    assert_near(stages(before, STAGES[:1]), stages(alone.networks["b"], STAGES[:1]))
    assert_near(stages(before, STAGES[1:]), stages(alone.networks["a"], STAGES[1:]))
    image, label = given(1)[0]
    step(image.float(), label)
    moved = [
        bool((mine - theirs).abs().max() > 1e-20)
        for mine, theirs in zip(before.parameters(), step.networks["a"].parameters(), strict=True)
    ]
    stem = len([*stages(before, STAGES[:1]).parameters()])
    assert not any(moved[:stem])
    assert all(moved[stem:])


def test_clip_limits_the_trunk_and_each_head_apart() -> None:
    networks = doubles("a", "b")
    plan = of(
        "node a, b = resnet(8, width=4) target a edge label -> * edge b -> a\n"
        "share a, b { layers = [stem, stage1] }",
        "train { clip = 0.01 optimizer = sgd(lr=1) schedule = constant }",
    )
    step = stepper(plan, CPU, networks=networks)
    before = copy.deepcopy(step.networks)
    step(*given(1)[0])
    for name in "ab":
        for part in (STAGES[:2], STAGES[2:]):
            now, then = (stages(each[name], part).parameters() for each in (step.networks, before))
            moved = [(one - other).detach().flatten() for one, other in zip(now, then, strict=True)]
            assert torch.cat(moved).norm().item() == pytest.approx(0.01, rel=1e-4)


def test_on_zero_skip_keeps_the_trunk_only_where_no_sharer_has_a_loss() -> None:
    def moved(a: str, b: str) -> list[bool]:
        edges = [f"edge label -> {name} : ce via {gate}" for name, gate in (("a", a), ("b", b))]
        plan = of(
            f"node a, b = resnet(8, width=4) target a, b {' '.join(edges)}\n"
            "share a, b { layers = [stem] }",
            "train { on_zero = skip epochs = 4 }",
        )
        step = stepper(plan, CPU)
        before = copy.deepcopy(step.networks)
        image, label = given(1)[0]
        step(image.float(), label)
        parts = [("a", STAGES[:1]), ("a", STAGES[1:]), ("b", STAGES[1:])]
        pairs = [[stages(of[name], part) for of in (before, step.networks)] for name, part in parts]
        return [
            any(not torch.equal(*each) for each in zip(x.parameters(), y.parameters(), strict=True))
            for x, y in pairs
        ]

    assert moved("after(50%)", "after(50%)") == [False, False, False]
    assert moved("through", "after(50%)") == [True, True, False]


# Sequential updates, phases, interruptions


@pytest.mark.parametrize("grad", ["sum", "mean"])
def test_with_sequential_updates_each_sharer_trains_the_trunk(grad: str) -> None:
    networks = doubles("a", "b")
    trunk = copy.deepcopy(stages(networks["a"], STAGES[:3]))
    heads = {name: copy.deepcopy(stages(networks[name], STAGES[3:])) for name in "ab"}
    plan = two(
        f"share a, b {{ layers = [stem, stage1, stage2] grad = {grad} }}",
        train="update = sequential",
    )
    step = stepper(plan, CPU, networks=networks)
    shared = sgd(trunk.parameters())
    own = {name: sgd(head.parameters()) for name, head in heads.items()}
    for image, label in given(3):
        output = step(image, label)
        for name, other in ("a", "b"), ("b", "a"):
            x = trunk(image)
            source = copy.deepcopy(heads[other])(x.detach())
            logits = {other: source, name: heads[name](x)}
            value = loss(logits, name, label)
            torch.testing.assert_close(output.losses[name], value.detach(), rtol=1e-12, atol=1e-12)
            for optimizer in (shared, own[name]):
                optimizer.zero_grad()
            torch.autograd.backward(value)
            for each in trunk.parameters():
                assert each.grad is not None
                each.grad /= 2 if grad == "mean" else 1
            for optimizer in (shared, own[name]):
                optimizer.step()
    assert_near(stages(step.networks["b"], STAGES[:3]), trunk)
    for name in "ab":
        assert_near(stages(step.networks[name], STAGES[3:]), heads[name])


def test_a_phase_in_which_one_sharer_has_nothing_to_learn() -> None:
    """Its own layers are frozen and in eval mode; the trunk learns with the other's loss."""
    plan = of(
        "node a, b = resnet(8, width=4) target a share a, b { layers = [stem, stage1] grad = mean }"
        "edge label -> a edge label -> b via during(two) edge b -> a via during(one)",
        "phase one { learn = [a, b] epochs = 1 } phase two { learn = [b, a] epochs = 1 }",
    )
    step = stepper(plan, CPU, steps=2)
    before = copy.deepcopy(step.networks["b"])
    image, label = given(1, 16)[0]
    step(image.float(), label)
    assert_near(stages(step.networks["b"], STAGES[2:]), stages(before, STAGES[2:]))
    names = [f"{norm}.num_batches_tracked" for norm in ("stem.1", "stage2.0.bn1")]
    counts = [step.networks["b"].get_buffer(name) for name in names]
    assert list(map(int, counts)) == [1, 0]
    for _ in range(3):
        step(image.float(), label)
    assert list(map(int, counts)) == [4, 2]


INTERRUPTED = """
graph g {
    node a, b, c = wrn(10, 1, dropout=0.2)
    node slow    = ema(b)
    target a
    share a, b { layers = [stem, stage1] grad = mean }
    edge label -> *
    edge * -> c : kl via linear
    edge slow -> a : mse
    edge c.stage1 -> b.stage1 : hint
}
data digits { samples = 40 holdout = true }
train { optimizer = adamw schedule = plateau(patience=1, on=accuracy) epochs = 4 take = best }
"""


def test_a_training_resumes_to_the_same_bits() -> None:
    plan = sound(INTERRUPTED)
    states: list[dict[str, Any]] = []
    whole = train_plan(plan, on_epoch=lambda done, step: states.append(kept(step.state_dict())))
    resumed = train_plan(plan, resume=ResumePoint(2, states[1]))
    assert resumed.accuracy == whole.accuracy
    for name, network in whole.stepper.networks.items():
        for key, value in network.state_dict().items():
            assert torch.equal(value, resumed.stepper.networks[name].state_dict()[key]), (name, key)
    one, other = (whole.stepper.networks[name].get_submodule("stem") for name in ("a", "slow"))
    assert one is not other


def kept(state: dict[str, Any]) -> dict[str, Any]:
    """A state after it was written to a file and read again."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    read: dict[str, Any] = torch.load(file, weights_only=True)
    return read


def test_sharers_take_the_best_epoch_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = of(
        "node a, b = resnet(8, width=4) target a edge label -> * edge b -> a\n"
        "share a, b { layers = [stem] }",
        "data digits { samples = 64 holdout = true } train { epochs = 2 take = best }",
    )
    measured = iter([{"a": 20.0, "b": 10.0}, {"a": 10.0, "b": 30.0}])
    monkeypatch.setattr(
        "ktgdsl.training.loop.evaluate", lambda *given: next(measured, None) or evaluate(*given)
    )
    after: list[dict[str, Tensor]] = []
    trained = train_plan(
        plan,
        on_epoch=lambda done, step: after.append(
            {key: value.clone() for key, value in step.networks["b"].state_dict().items()}
        ),
    )
    final = trained.stepper.networks["b"].state_dict()
    assert all(torch.equal(final[key], value) for key, value in after[0].items())


# What is kept


def test_a_run_keeps_a_whole_network_for_each_sharer(tmp_path: Path) -> None:
    plan = two(
        "share a, b { layers = [stem, stage1, stage2] }", train="epochs = 1 repeats = 1"
    ).model_copy()
    data = plan.data.model_copy(update={"samples": 32})
    result = ktgdsl.run(plan.model_copy(update={"data": data}), out=tmp_path / "run", device="cpu")
    one, other = (ktgdsl.load_network(result.folder, name) for name in "ab")
    image = given(1)[0][0].float()
    assert one(image).shape == other(image).shape == (8, 10)
    for mine, theirs in zip(
        stages(whole(one), STAGES[:3]).state_dict().values(),
        stages(whole(other), STAGES[:3]).state_dict().values(),
        strict=True,
    ):
        assert torch.equal(mine, theirs)
        assert mine is not theirs


def whole(network: nn.Module) -> nn.Module:
    """A network of a run without what normalises its images."""
    return network[1] if isinstance(network, nn.Sequential) else network


@pytest.mark.parametrize(
    "settings", ["precision = bf16", pytest.param("compile = on", marks=pytest.mark.slow)]
)
def test_in_bf16_and_compiled(settings: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", fullgraph=True))
    share = "share a, b { layers = [stem, stage1] grad = mean }"
    steps = [stepper(two(share, train=each), CPU, seed=1) for each in ("", settings)]
    image, label = given(1, 32)[0]
    exact, other = (step(image.float(), label) for step in steps)
    for name, value in exact.losses.items():
        torch.testing.assert_close(other.losses[name], value, rtol=2e-2, atol=1e-3)
    moved = [step.networks["b"].get_parameter("stem.0.weight") for step in steps]
    torch.testing.assert_close(moved[1], moved[0], rtol=2e-2, atol=2e-3)


# Frozen sharers

FROZEN = """
node a, b, c = resnet(8, width=4) target a
share b, c { layers = [stem, stage1] grad = mean }
edge label -> a edge b, c -> a
"""


def test_frozen_sharers_are_pretrained_together() -> None:
    """As they would be in a graph of their own, once, and they are in the cache for both."""
    more = "data digits { samples = 64 batch = 32 } train { epochs = 1 }"
    plan = of(FROZEN, more)
    events: list[object] = []
    step = stepper(plan, CPU, seed=1, listener=events.append)
    assert sum(isinstance(event, PretrainStarted) for event in events) == 1
    done = [event for event in events if isinstance(event, PretrainDone)]
    assert [(event.node, event.cached) for event in done] == [("b", False), ("c", True)]
    alone = pretraining_plan(plan, plan.graph.node("c"), 1)
    assert alone == pretraining_plan(plan, plan.graph.node("b"), 1)
    trained = train_plan(alone, seed=1)
    for name, own in ("b", "pretrained0"), ("c", "pretrained1"):
        assert_near(step.networks[name], trained.stepper.networks[own])
    assert [event.accuracy for event in done] == [*trained.accuracy.test.values()]
    again = stepper(plan, CPU, seed=1, listener=events.append)
    assert sum(isinstance(event, PretrainStarted) for event in events) == 1
    assert_near(again.networks["c"], step.networks["c"])
    one, other = (step.networks[name].get_submodule("stage1") for name in "bc")
    assert one is other


def test_frozen_sharers_with_other_weights_in_what_they_share_are_refused() -> None:
    plan, networks = of(FROZEN), doubles("a", "b", "c")
    with pytest.raises(RunError, match="`c` has other weights in `stem` than `b`"):
        stepper(plan, CPU, networks=networks)
    with pytest.raises(RunError, match="`c` has other weights in `stem` than `b`"):
        stepper(plan, CPU, networks={"c": networks["c"].float()})
    for layer in ("stem", "stage1"):
        stages(networks["c"], (layer,)).load_state_dict(
            stages(networks["b"], (layer,)).state_dict()
        )
    step = stepper(plan, CPU, networks={**networks, "c": networks["c"].double()})
    step(*given(1)[0])
