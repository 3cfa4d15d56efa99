"""Moving averages and stale copies: what they are after each step, and what they leave alone."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

import ktgdsl
from ktgdsl.plan.model import Plan
from tests.training.test_phases import batch
from tests.training.test_step import assert_equal, weights

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
