"""Moving averages and stale copies: what they are after each step, and what they leave alone."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

import ktgdsl
from ktgdsl.backend.step_code import step_code
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.training.events import EpochDone
from ktgdsl.training.execution import Choice
from ktgdsl.training.loop import ResumePoint
from ktgdsl.training.step import Stepper
from tests.trained import train_plan
from tests.training.test_captured import FakeRecording
from tests.training.test_phases import batch
from tests.training.test_step import assert_equal, through_a_file, weights

DATA = "data digits { batch = 16  samples = 160  validation = 96  holdout = true }"
SGD = "optimizer = sgd(lr=0.1, momentum=0.9, nesterov=false, weight_decay=0) schedule = constant"
WORDS = [
    *(
        f"ema(a, decay=0.6, warmup={warmup}, buffers={buffers})"
        for warmup in ("true", "false")
        for buffers in ("own", "copy", "average")
    ),
    "copy(a, every=2)",
    "copy(a, every=2, buffers=own)",
]


def load(body: str, more: str = "train { epochs = 1 }") -> Plan:
    plan: Plan = ktgdsl.loads(f"graph g {{ {body} }} {more} {DATA}")
    return plan


def followed(word: str, more: str = f"train {{ epochs = 1 {SGD} }}", edges: str = "") -> Plan:
    """`a` learns from the labels, and from `f`, which follows it."""
    network = "resnet(depth=8, width=4)"
    return load(
        f"node a = {network} node f = {word} target a edge label -> a edge f -> a : mse {edges}",
        more,
    )


def small() -> nn.Sequential:
    """A network with batch norm, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)
        return nn.Sequential(*layers).double()


def doubled(k: int) -> tuple[Tensor, Tensor]:
    image, label = batch(k)
    return image.double(), label


def moved(word: str, k: int, old: Tensor, new: Tensor, *, is_buffer: bool) -> Tensor:
    """What a tensor of the follower is after step k, where it was `old` and the node has `new`."""
    if is_buffer and "buffers=own" in word:
        return old
    if word.startswith("copy"):
        return new if k % 2 == 0 else old
    if is_buffer and ("buffers=copy" in word or not new.is_floating_point()):
        return new
    decay = min(1 - 1 / (k + 1), 0.6) if "warmup=true" in word else 0.6
    return decay * old + (1 - decay) * new


@pytest.mark.parametrize("word", WORDS)
def test_a_loop_by_hand(word: str) -> None:
    own, mean = small(), small()
    mean.train("buffers=own" in word)
    optimizer = torch.optim.SGD(own.parameters(), lr=0.1, momentum=0.9)
    step = ktgdsl.stepper(followed(word), "cpu", networks={"a": small()}, steps=5)
    for k in range(1, 6):
        image, label = doubled(k)
        with torch.no_grad():
            target = mean(image)
        logits = own(image)
        loss = cross_entropy(logits, label) + mse_loss(logits, target)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        buffers = {name for name, _ in own.named_buffers()}
        state = own.state_dict()
        for name, each in mean.state_dict().items():
            each.copy_(moved(word, k, each, state[name], is_buffer=name in buffers))
        output = step(image, label)
        torch.testing.assert_close(output.logits["f"], target, rtol=0, atol=1e-12)
        torch.testing.assert_close(output.losses["a"], loss.detach(), rtol=0, atol=1e-12)
        for node, network in {"a": own, "f": mean}.items():
            for name, each in network.state_dict().items():
                torch.testing.assert_close(
                    weights(step, node)[name], each, rtol=0, atol=1e-12, msg=f"{name} of {node}"
                )


@given(
    st.lists(st.tuples(st.sampled_from(WORDS), *[st.sampled_from("abc")] * 2), max_size=4),
    st.sampled_from(["simultaneous", "sequential"]),
    st.booleans(),
)
@settings(max_examples=10, deadline=None)
def test_in_any_graph(drawn: list[tuple[str, str, str]], update: str, mutual: bool) -> None:
    """Each moves by its rule from its own weights and those of its node, and has no gradient."""
    followers = {f"f{i}": (word, node) for i, (word, node, _) in enumerate(drawn)}
    lines = [
        f"node {name} = {w.replace('(a', f'({node}')}" for name, (w, node) in followers.items()
    ]
    lines += [f"edge f{i} -> {taught} : mse" for i, (_, _, taught) in enumerate(drawn)]
    lines += ["edge * -> * : mse"] * mutual
    body = f"node a, b, c = resnet8 target a, b, c edge label -> * {' '.join(lines)}"
    plan = load(body, f"train {{ epochs = 1 update = {update} {SGD} }}")
    step = ktgdsl.stepper(plan, "cpu", networks={name: small() for name in "abc"}, steps=3)
    assert list(step.networks) == ["a", "b", "c", *followers]
    buffers = {name for name, _ in small().named_buffers()}
    for k in range(1, 4):
        before = {name: weights(step, name) for name in step.networks}
        output = step(*doubled(k))
        assert output.logits.keys() == step.networks.keys()
        for name, (word, node) in followers.items():
            after, new = weights(step, name), weights(step, node)
            own = "buffers=own" in word
            for key, old in before[name].items():
                if own and key in buffers:
                    tracked = key.endswith("tracked")
                    assert after[key] == k if tracked else not torch.equal(after[key], old)
                    continue
                expected = moved(word, k, old, new[key], is_buffer=key in buffers)
                torch.testing.assert_close(after[key], expected, rtol=0, atol=1e-12)
            assert all(each.grad is None for each in step.networks[name].parameters())


def test_it_starts_as_a_copy_and_needs_no_gradient() -> None:
    step = ktgdsl.stepper(followed("ema(a)"), "cpu")
    assert_equal(weights(step, "a"), weights(step, "f"))
    step(*batch(1))
    assert not any(each.requires_grad for each in step.networks["f"].parameters())
    assert all(each.grad is None for each in step.networks["f"].parameters())


def test_an_average_without_decay_is_the_node_itself() -> None:
    step = ktgdsl.stepper(followed("ema(a, decay=0, buffers=copy)"), "cpu", steps=3)
    other = ktgdsl.stepper(followed("copy(a, every=1)"), "cpu", steps=3)
    for k in range(3):
        step(*batch(k))
        other(*batch(k))
        assert_equal(weights(step, "f"), weights(step, "a"))
        assert_equal(weights(step, "f"), weights(other, "f"))


PHASES = """
    train { epochs = 1 }
    phase first  { learn = [a] }
    phase second { learn = [b] }
    phase third  { learn = [a] }
"""


@pytest.mark.parametrize("word", ["ema(a)", "ema(a, buffers=copy)", "copy(a, every=1)"])
def test_it_moves_in_the_phases_in_which_its_node_learns(word: str) -> None:
    network = "resnet(depth=8, width=4)"
    plan = load(
        f"node a, b = {network} node f = {word} target a, b edge label -> * edge f -> b", PHASES
    )
    step = ktgdsl.stepper(plan, "cpu", steps=2)
    for k in range(6):
        before, own = weights(step, "f"), weights(step, "a")
        step(*batch(k))
        after, new = weights(step, "f"), weights(step, "a")
        if step.phase.name == "second":
            assert_equal(before, after)
        elif "ema" in word:  # k is the phase's step
            decay = 1 - 1 / (k % 2 + 2)
            name = "stem.0.weight"
            expected = decay * before[name] + (1 - decay) * new[name]
            torch.testing.assert_close(after[name], expected, rtol=0, atol=1e-6)
        else:
            assert_equal(after, new)
        assert (step.phase.name == "second") == all(torch.equal(own[n], new[n]) for n in own)


def test_others_see_it_as_it_was_before_the_step_also_in_turns() -> None:
    """With `update = sequential` it moves after the last turn, its statistics in its first call."""
    network = "resnet(depth=8, width=4)"
    plan = load(
        f"node a, b = {network} node f = ema(a) target a, b edge label -> * edge f -> a, b",
        "train { epochs = 1 update = sequential }",
    )
    step = ktgdsl.stepper(plan, "cpu")
    counted = "stem.1.num_batches_tracked"
    assert [[call.access for call in u.calls if call.node == "f"] for u in step.phase.updates] == [
        ["follow"], ["source"],
    ]  # fmt: skip
    seen: list[Tensor] = []
    follower = step.networks["f"]
    weight = follower.get_parameter("stem.0.weight")
    follower.register_forward_hook(lambda *_: seen.append(weight.clone()))
    for k in range(2):
        step(*batch(k))
        assert weights(step, "f")[counted] == k + 1
        assert torch.equal(seen[-2], seen[-1])
        assert not torch.equal(weight, seen[-1])


@pytest.mark.parametrize(
    "edge",
    [
        "f -> a : kl(T=linear(1, 4)) via correct * linear",
        "f -> a : dkd + 0.5 * dist via confident(0.1)",
        "f.stage1 -> a.stage1 : hint(connector=norm)",
        'f."stage2.pre" -> a."stage2.pre" : overhaul',
        "f.stage1 -> a.stage1 : fsp(with=stage2), rkd",
    ],
)
def test_gradients_are_those_of_a_frozen_node_with_equal_weights(edge: str) -> None:
    network = "resnet(depth=8, width=4)"
    edges = f"target a edge label -> a edge {edge}"
    plan = load(f"node a = {network} node f = ema(a) {edges}")
    other = load(f"node a = {network} node f = {network} {{ frozen = true mode = train }} {edges}")
    image, label = batch(0)
    graph = ktgdsl.build(plan)
    equal = ktgdsl.build(other)
    equal.networks["f"].load_state_dict(graph.networks["f"].state_dict())
    for each in (graph, equal):
        torch.autograd.backward(each(image, label, torch.tensor(0.5)).losses["a"])
    pairs = zip(graph.networks["a"].parameters(), equal.networks["a"].parameters(), strict=True)
    assert all(torch.equal(one.grad, two.grad) for one, two in pairs)  # type: ignore[arg-type]
    assert all(each.grad is None for each in graph.networks["f"].parameters())


METHODS = """
    node a, b, c = resnet(depth=8, width=4)
    node slow = ema(a, decay=0.9)
    node old  = copy(b, every=3)
    target c
    edge label -> *
    edge slow.stage1 -> b.stage1 : hint
    edge slow, old   -> c        : kl
"""


def test_a_training_resumes_to_equal_bits_in_any_phase() -> None:
    plan = load(
        METHODS,
        "phase first { learn = [a, b] epochs = 2 take = best } phase second { learn = [b, c] }"
        "train { epochs = 1 }",
    )
    states: list[tuple[int, Any]] = []

    def keep(done: EpochDone, step: Stepper) -> None:
        states.append((done.epoch, through_a_file(step.state_dict())))

    whole = train_plan(plan, on_epoch=keep)
    assert [epoch for epoch, _ in states] == [1, 2, 3]
    for epoch, state in states:
        resumed = train_plan(plan, resume=ResumePoint(epoch, state))
        assert resumed.accuracy == whole.accuracy
        for name in whole.stepper.networks:
            assert_equal(weights(resumed.stepper, name), weights(whole.stepper, name))


def test_the_best_epoch_of_a_follower_is_its_own() -> None:
    kept: list[dict[str, Tensor]] = []
    accuracy: list[float] = []

    def note(done: EpochDone, step: Stepper) -> None:
        kept.append(weights(step, "f"))
        accuracy.append(done.accuracy["f"])

    plan = followed("ema(a, decay=0.5)", "train { epochs = 3 take = best }")
    trained = train_plan(plan, on_epoch=note)
    assert_equal(weights(trained.stepper, "f"), kept[accuracy.index(max(accuracy))])


def test_the_printed_code_is_what_runs() -> None:
    plan = load(
        "node a = resnet(depth=8, width=4) node slow = ema(a, decay=0.9, buffers=average)"
        "node old = copy(a, every=2) target a edge label -> a edge slow, old -> a"
    )
    rules = step_code(plan).partition("# After step k\n")[2]
    assert "Ema(networks['slow'], networks['a'], decay=0.9, warmup=True, buffers='av" in rules
    step = ktgdsl.stepper(plan, "cpu")
    for k in range(1, 4):
        networks = {name: deepcopy(network) for name, network in step.networks.items()}
        step(*batch(k))
        exec(rules, {"networks": {**networks, "a": step.networks["a"]}, "k": k})
        for name in ("slow", "old"):
            assert_equal(networks[name].state_dict(), weights(step, name))


def test_its_dropout_draws_from_a_stream_of_its_own() -> None:
    plan = load(
        "node a = wrn(10, 1, dropout=0.5) node f, g = ema(a) target a edge label -> a "
        "edge f, g -> a"
    )
    outputs = [ktgdsl.stepper(plan, "cpu")(*batch(0)).logits for _ in range(2)]
    assert_equal(*outputs)
    drawn = outputs[0]
    assert not torch.equal(drawn["f"], drawn["a"])
    assert not torch.equal(drawn["f"], drawn["g"])


def test_an_average_of_a_pretrained_node_has_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))
    network = "resnet(depth=8, width=4)"
    step = ktgdsl.stepper(
        load(f"node a, t = {network} node f = ema(t) target a edge label -> a edge f -> a"), "cpu"
    )
    before = weights(step, "t")
    assert_equal(before, weights(step, "f"))
    step(*batch(0))
    assert_equal(before, weights(step, "f"))


def test_one_of_a_pretrained_sharer_has_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))
    network = "resnet(depth=8, width=4)"
    plan = load(
        f"node a, t[2] = {network} node f = copy(t, buffers=own) target a edge label -> a "
        "edge f -> a share t { layers = [stem] }"
    )
    step = ktgdsl.stepper(plan, "cpu")
    for i in range(2):
        assert_equal(weights(step, f"t[{i}]"), weights(step, f"f[{i}]"))


def test_those_of_nodes_that_share_layers_begin_with_the_shared_ones() -> None:
    network = "resnet(depth=8, width=4)"
    plan = load(
        f"node h[2] = {network} node f = ema(h) share h {{ layers = [stem] }} target h[0]"
        "edge label -> h edge f -> h"
    )
    step = ktgdsl.stepper(plan, "cpu", steps=2)
    for k in range(2):
        stems = [step.networks[f"f[{i}]"].get_parameter("stem.0.weight") for i in range(2)]
        assert torch.equal(*stems)
        assert stems[0] is not stems[1]
        for i in range(2):
            if k == 0:
                assert_equal(weights(step, f"h[{i}]"), weights(step, f"f[{i}]"))
        step(*batch(k))


class Uncopied(nn.Linear):
    def __deepcopy__(self, memo: object) -> "Uncopied":
        raise TypeError("a handle to a device")

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image.flatten(1))


def test_networks_of_ones_own() -> None:
    plan = followed("ema(a)")
    with pytest.raises(RunError, match="`f`, whose network is a copy of `a`'s"):
        ktgdsl.build(plan, {"f": small()})
    with pytest.raises(RunError, match="of node `a` cannot be copied for `f`: TypeError: a handle"):
        ktgdsl.build(plan, {"a": Uncopied(64, 10)})


@pytest.mark.parametrize("way", ["captured", "side by side"])
@pytest.mark.usefixtures("one_thread")
def test_it_moves_alike_however_steps_are_executed(way: str) -> None:
    """In float64: to equal bits if captured, and else to the rounding of sums in another order."""
    # A captured step has the learning rate as a tensor in float32, where 1 / 8 is exact.
    settings = f"train {{ epochs = 1 {SGD.replace('lr=0.1', 'lr=0.125')} }}"
    plan = followed("ema(a, decay=0.6)", settings, "edge g -> a node g = copy(a, every=2)")
    plain = ktgdsl.stepper(plan, "cpu", networks={"a": small()}, steps=4)
    made = ktgdsl.stepper(plan, "cpu", networks={"a": small()}, steps=4)
    choice = Choice(way, "to be tried")
    execution = replace(plain.execution, networks=choice)
    if way == "captured":
        execution = replace(plain.execution, launches=choice)
    other = Stepper(plan, made.program, made.networks, made.device, execution, record=FakeRecording)
    for k in range(4):
        plain(*doubled(k))
        other(*doubled(k))
    for name in plain.networks:
        if way == "captured":
            assert_equal(weights(other, name), weights(plain, name))
        torch.testing.assert_close(weights(other, name), weights(plain, name), rtol=0, atol=1e-9)


def dropping() -> nn.Module:
    """A network of the user's that draws from torch's global generator."""
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))


def test_networks_that_draw_from_a_global_generator_resume() -> None:
    network = 'python("tests.training.test_followers:dropping")'
    plan = load(f"node a = {network} node f = ema(a) target a edge label -> a edge f -> a")
    whole, first, rest = (ktgdsl.stepper(plan, "cpu", steps=4) for _ in range(3))
    outputs = [whole(*batch(k)).logits for k in range(4)]
    assert not torch.equal(outputs[0]["f"], outputs[0]["a"])  # equal weights, other draws
    for k in range(2):
        first(*batch(k))
    rest.load_state_dict(through_a_file(first.state_dict()))
    for k in (2, 3):
        assert_equal(rest(*batch(k)).logits, outputs[k])


def test_one_that_is_kept_is_called_where_its_statistics_are_its_own() -> None:
    network = "resnet(depth=8, width=4)"
    keep = "{ keep = true }"
    plan = load(
        f"node a = {network} node f = ema(a) {keep} node g = ema(a, buffers=copy) {keep} "
        "target a edge label -> a",
        "phase only { learn = [a] epochs = 1 }",
    )
    step = ktgdsl.stepper(plan, "cpu")
    assert [call.node for call in step.phase.updates[0].calls] == ["a", "f"]
    assert step.phase.nodes == ("a", "f", "g")
    step(*batch(0))
    for name in "fg":
        assert weights(step, name)["stem.1.num_batches_tracked"] == 1
