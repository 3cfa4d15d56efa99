"""What training graphs give to functions: epochs, moving temperatures, labels, no source."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend import gates
from ktgdsl.backend.graph import TrainingGraph, build
from ktgdsl.backend.losses import one_hot
from ktgdsl.backend.output import Output
from tests.backend.arrays import C, check, labels, logits, softmax
from tests.specs import graph, sound


class Logits(nn.Module):
    """A network that gives its parameters as logits."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.z = nn.Parameter(torch.from_numpy(logits((4, C), seed)))

    def forward(self, image: Tensor) -> Tensor:
        return self.z


def built(edges: str, more: str = "") -> TrainingGraph:
    body = f"node a, b = resnet8 {{ keep = true }} target a edge label -> * {edges}"
    return build(sound(graph(body, more)), {"a": Logits(0), "b": Logits(1)})


def out(module: TrainingGraph, progress: float, *, unlabeled: bool = False) -> Output:
    label = torch.from_numpy(labels((4, C), unlabeled=unlabeled))
    image = torch.zeros(4, 1, 8, 8, dtype=torch.float64)
    found: Output = module(image, label, torch.tensor(progress, dtype=torch.float64))
    return found


@pytest.mark.parametrize(("progress", "T"), [(0.25, 2.5), (1.0, 4.0)])
@pytest.mark.parametrize(("scale", "factor"), [("", None), (", scale=3", 3.0)])
def test_a_temperature_moves_with_its_square(
    progress: float, T: float, scale: str, factor: float | None
) -> None:
    module = built(f"edge b -> a : kl(T=linear(2, 4){scale})")
    p, q = softmax(logits((4, C), 1), T), softmax(logits((4, C), 0), T)
    want = (T**2 if factor is None else factor) * (p * np.log(p / q)).sum(1).mean()
    check(out(module, progress).edges["b", "a"], want)


def test_edges_of_one_moving_temperature_compute_it_once() -> None:
    code = built("edge b -> a : kl(T=linear(1, 4)), js(T=linear(1, 4)) via correct").code
    assert code.count("linear(") == 1
    assert code.count("log_softmax(") == 4  # of both nodes, for the labels and at T


@pytest.mark.parametrize("epochs", [1, 3, 10, 30, 49, 200])
@pytest.mark.parametrize("steps", [1, 3, 7, 391])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_end_of_an_epoch_is_that_of_each_of_its_steps(
    epochs: int, steps: int, dtype: torch.dtype
) -> None:
    k = torch.arange(1, epochs * steps + 1, dtype=dtype)
    got = gates.end_of_epoch(k / (epochs * steps), epochs, steps)
    want = torch.arange(1, epochs + 1, dtype=dtype).repeat_interleave(steps) / epochs
    assert torch.equal(got, want)


@pytest.mark.parametrize(
    ("epoch", "warmup", "rise"),
    [(1, "4", 0.25), (3, "4", 0.75), (5, "4", 1), (1, "20", 0.05), (2, "50%", 0.4), (1, "0", 1)],
)
def test_dkd_rises_from_epoch_to_epoch(epoch: int, warmup: str, rise: float) -> None:
    train = "train { epochs = 10 }"
    risen, whole = (built(f"edge b -> a : dkd(warmup={each})", train) for each in (warmup, "0"))
    steps = risen.plan.data.steps_per_epoch
    for k in (steps * (epoch - 1) + 1, steps * epoch):
        got, most = (out(each, k / (10 * steps)).edges["b", "a"] for each in (risen, whole))
        check(got, rise * most.detach().numpy())


def test_a_term_of_one_node_alone() -> None:
    module = built("edge a : -0.1 * entropy")
    p = softmax(logits((4, C), 0))
    found = out(module, 1.0, unlabeled=True)
    check(found.edges["", "a"], 0.1 * (p * np.log(p)).sum(1).mean())
    total = found.edges["label", "a"] + found.edges["", "a"]
    assert torch.equal(found.losses["a"], total)
    assert "entropy_a = " in module.code


def test_agree_from_the_labels_is_where_the_destination_is_right() -> None:
    module = built("edge label -> a : ce via agree")
    p = softmax(logits((4, C), 0))
    first, second, third, _ = top = p.argmax(1)
    label = torch.tensor([first, (second + 1) % C, third, -1])
    found = module(torch.zeros(4, 1, 8, 8), label, torch.tensor(1.0))
    picked = p[np.arange(4), top]
    check(found.edges["label", "a"], -(np.log(picked[0]) + np.log(picked[2])) / 3)
    assert found.open["label", "a"].item() == 0.5


def test_one_hot_labels_are_zero_where_unlabeled() -> None:
    label = torch.tensor([[1, -1], [0, 2]])
    got = one_hot(label, torch.zeros(2, 3, 2, dtype=torch.float16))
    assert got.dtype == torch.float32
    assert got[0].tolist() == [[0, 0], [1, 0], [0, 0]]
    assert got[1].tolist() == [[1, 0], [0, 0], [0, 1]]
