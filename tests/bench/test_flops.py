"""The FLOPs of a step, of the limit and of the matrix product, counted by hand."""

import pytest
import torch

import ktgdsl
from ktgdsl.bench.candidates import limit, peak_precision, product, training
from ktgdsl.bench.flops import ImageFlops
from ktgdsl.plan.model import SharedLayers
from ktgdsl.training.costs import operations
from tests.bench.specs import alone, written
from tests.plans import tiny_plan
from tests.specs import of

CPU = torch.device("cpu")


def test_a_linear_network() -> None:
    """Forward, and the gradient of the weights; the images need none. 2 B n m each."""
    plan = ktgdsl.load(alone())
    assert operations(training(plan, CPU).take) == 2 * (2 * 16 * 64 * 10)


def test_two_linear_networks_and_their_transfer() -> None:
    """The losses of two nodes are no matrix products."""
    text = """
    graph two {
        node a, b = python("nets:linear")
        target a
        edge label -> *
        edge *     -> * : kl
    }
    data digits { batch = 16 }
    """
    plan = ktgdsl.load(written("two.ktg", text))
    assert operations(training(plan, CPU).take) == 2 * 2 * (2 * 16 * 64 * 10)


def test_a_resnet8() -> None:
    """Convolutions by hand: 2 B k² C_in C_out H W, three times but for the first.

    Shortcuts have no weights.
    """
    first = 3 * 3 * 1 * 16 * 64
    one = 2 * (3 * 3 * 16 * 16) * 64
    two = (3 * 3 * 16 * 32 + 3 * 3 * 32 * 32) * 16
    three = (3 * 3 * 32 * 64 + 3 * 3 * 64 * 64) * 4
    last = 64 * 10
    expected = 2 * 16 * (2 * first + 3 * (one + two + three + last))
    found = operations(training(tiny_plan(["a"]), CPU).take)
    assert found == expected


def test_a_trunk_counts_once() -> None:
    """In a step, in the limit, and where graphs are compared, of two ResNet8 as above."""
    first = 3 * 3 * 1 * 16 * 64
    one = 2 * (3 * 3 * 16 * 16) * 64
    two = (3 * 3 * 16 * 32 + 3 * 3 * 32 * 32) * 16
    head = (3 * 3 * 32 * 64 + 3 * 3 * 64 * 64) * 4 + 64 * 10
    share = SharedLayers(nodes=("a", "b"), layers=("stem", "stage1", "stage2"), grad="mean")
    plan = tiny_plan("ab")
    plan = plan.model_copy(update={"graph": plan.graph.model_copy(update={"shares": (share,)})})
    expected = 2 * 16 * (2 * first + 3 * (one + two + 2 * head))
    made = training(plan, CPU)
    assert operations(made.take) == expected
    assert operations(limit(made).call) == expected
    assert ImageFlops().of(plan) == 2 * 3 * (first + one + two + 2 * head)


def test_a_frozen_network_is_asked_only() -> None:
    """Of the teacher there is a forward; the student has the gradient of its weights too."""
    text = """
    graph kd {
        node s = python("nets:linear")
        node t = python("nets:wide")
        target s
        edge label -> s
        edge t     -> s : kl
    }
    data digits { batch = 16 }
    """
    plan = ktgdsl.load(written("kd.ktg", text))
    asked, learning = 2 * 16 * (64 * 100 + 100 * 10), 2 * (2 * 16 * 64 * 10)
    made = training(plan, CPU)
    assert operations(made.take) == asked + learning
    assert operations(limit(made).call) == asked + learning


def test_the_product_is_what_it_says() -> None:
    candidate, count, told = product(CPU, torch.float32)
    assert (count, told) == (2 * 1024**3, "1024 x 1024 matrices in fp32")
    assert operations(candidate.call) == count


@pytest.mark.parametrize(("fast", "best"), [(True, "bf16"), (False, "fp32")])
def test_the_peak_is_of_a_precision_that_the_machine_has(
    fast: bool, best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ktgdsl.training.execution._bf16_is_fast", lambda _: (fast, ""))
    plan = tiny_plan(precision="bf16")
    dtypes = {"bf16": torch.bfloat16, "fp32": torch.float32}
    assert peak_precision(plan, CPU) == dtypes[best]
    assert peak_precision(tiny_plan(), CPU) == torch.float32


@pytest.mark.usefixtures("one_thread")
def test_a_second_view_is_a_forward_more() -> None:
    """Of the source of `stable`, a forward that learns nothing; of the other none."""
    body = "node a, b = resnet8 target a edge label -> * edge b -> a"
    plain, views = of(body), of(f"{body} via stable", "data digits { augment = paper views = 2 }")
    one = ImageFlops().of(plain) // 6
    assert ImageFlops().of(views) == 7 * one
    assert operations(training(views, CPU).take) > operations(training(plain, CPU).take)
