"""Networks with several heads, each for a label of its own: steps, runs and what they report."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.errors import NodeError
from ktgdsl.plan.model import Plan

NETS = """\
import numpy as np
import torch
from torch import nn


def images(split):
    draw = np.random.default_rng(len(split))
    n = 40 if split == "train" else 20
    size, tone = draw.integers(4, size=n), draw.integers(3, size=n)
    tone[0], size[1] = -1, -1
    image = draw.integers(256, size=(n, 1, 4, 4), dtype=np.uint8)
    return image, {"tone": tone, "size": size, "unread": tone}


class Net(nn.Module):
    def __init__(self, form="dict"):
        super().__init__()
        self.body = nn.Linear(16, 6)
        self.to_size, self.to_tone = nn.Linear(6, 4), nn.Linear(6, 3)
        self.form = form

    def forward(self, image):
        features = self.body(image.flatten(1))
        size, tone = self.to_size(features), self.to_tone(features)
        match self.form:
            case "tuple":
                return size, tone
            case "named":
                return Named(size, tone)
            case "one":
                return size
            case "three":
                return size, tone, size
            case "missing":
                return {"size": size, "colour": tone}
            case "swapped":
                return {"size": tone, "tone": size}
            case "numbers":
                return {"size": size, "tone": 3}
        return {"size": size, "tone": tone, "more": features}


class Named:
    def __init__(self, size, tone):
        self.size, self.tone = size, tone
"""

DATA = """
data python("heads_of_tests:images") { batch = 10 }
train {
    epochs    = 2
    optimizer = sgd(lr=0.1, momentum=0, nesterov=false, weight_decay=0)
    schedule  = constant
}
"""

PAIR = """
graph pair {
    node a, b = python("heads_of_tests:Net") { heads = [size, tone] }
    target a
    edge label.size -> a.size
    edge label.tone -> *.tone : ce via 0.5
    edge b.tone -> a.tone : kl(T=2) via correct
    edge a.size -> b.size : mse
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("heads")
    (path / "heads_of_tests.py").write_text(NETS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KTGDSL_CACHE", str(path / "cache"))
        yield path


def plan_of(folder: Path, graph: str, more: str = DATA) -> Plan:
    path = folder / "spec.ktg"
    path.write_text(graph + more)
    return ktgdsl.load(path)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    tone = torch.tensor([0, 1, 2, -1, 0, 2])
    size = torch.tensor([3, -1, 0, 1, -1, 2])
    return torch.rand(6, 1, 4, 4, generator=generator), torch.stack([size, tone], dim=1)


class TestStep:
    def test_each_edge_is_of_the_logits_and_labels_of_its_head(self, folder: Path) -> None:
        """Against losses, and gradients, that are written out with torch."""
        step = ktgdsl.stepper(plan_of(folder, PAIR), "cpu")
        image, label = batch()
        a, b = (
            {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
            for network in step.networks.values()
        )
        names = list(a)
        out = step(image, label)

        def logits(weights: dict[str, Tensor]) -> dict[str, Tensor]:
            x = image.flatten(1) @ weights["body.weight"].T + weights["body.bias"]
            return {
                head: x @ weights[f"to_{head}.weight"].T + weights[f"to_{head}.bias"]
                for head in ("size", "tone")
            }

        z = {"a": logits(a), "b": logits(b)}
        size, tone = label.T
        right = (z["b"]["tone"].argmax(1) == tone).float()
        p, q = (z[node]["tone"] / 2 for node in "ba")
        transferred = 4 * kl_div(q.log_softmax(1), p.detach().softmax(1), reduction="none").sum(1)
        want = {
            ("label.size", "a.size"): cross_entropy(z["a"]["size"], size, ignore_index=-1),
            ("label.tone", "a.tone"): 0.5 * cross_entropy(z["a"]["tone"], tone, ignore_index=-1),
            ("label.tone", "b.tone"): 0.5 * cross_entropy(z["b"]["tone"], tone, ignore_index=-1),
            ("b.tone", "a.tone"): (right * transferred).mean(),
            ("a.size", "b.size"): (z["b"]["size"] - z["a"]["size"].detach()).square().mean(),
        }
        assert out.edges.keys() == want.keys()
        for key, value in want.items():
            torch.testing.assert_close(out.edges[key], value.detach())
        assert list(out.logits) == ["a.size", "a.tone", "b.size", "b.tone"]
        torch.testing.assert_close(out.logits["b.size"], z["b"]["size"].detach())
        into = {n: sum(v for (_, d), v in want.items() if d.startswith(n)) for n in "ab"}
        for node, weights in (("a", a), ("b", b)):
            torch.testing.assert_close(out.losses[node], torch.as_tensor(into[node]).detach())
            gradients = torch.autograd.grad(into[node], [weights[name] for name in names])
            after = dict(step.networks[node].named_parameters())
            for name, gradient in zip(names, gradients, strict=True):
                torch.testing.assert_close(after[name], weights[name] - 0.1 * gradient)

    @pytest.mark.parametrize("form", ["tuple", "named"])
    def test_other_forms_of_outputs(self, folder: Path, form: str) -> None:
        plan = plan_of(folder, PAIR.replace(":Net", f':Net", form="{form}'))
        out = ktgdsl.stepper(plan, "cpu")(*batch())
        expected = ktgdsl.stepper(plan_of(folder, PAIR), "cpu")(*batch())
        assert out.logits["a.tone"].equal(expected.logits["a.tone"])
        assert out.losses["a"].equal(expected.losses["a"])

    def test_networks_of_the_caller(self, folder: Path) -> None:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.net = nn.Linear(16, 7)

            def forward(self, image: Tensor) -> tuple[Tensor, ...]:
                logits: Tensor = self.net(image.flatten(1))
                return logits[:, :4], logits[:, 4:]

        own = Own()
        step = ktgdsl.stepper(plan_of(folder, PAIR), "cpu", networks={"a": own})
        image, label = batch()
        want = own.net(image.flatten(1)).detach()
        out = step(image, label)
        assert out.logits["a.size"].equal(want[:, :4])
        assert out.logits["a.tone"].equal(want[:, 4:])

    @pytest.mark.parametrize(
        ("form", "message"),
        [
            ("one", "gives a Tensor, and its heads are `size`, `tone`"),
            ("three", "gives a tuple of 3, and its heads are `size`, `tone`"),
            ("missing", "gives a dict with `size`, `colour`, and its heads are `size`, `tone`"),
            (
                "swapped",
                "gives (2, 3) of torch.float32, and logits of the head `size` of these data are "
                "(2, 4)",
            ),
            ("numbers", "gives a int, not a tensor of logits, as its head `tone`"),
        ],
    )
    def test_networks_without_these_heads(self, folder: Path, form: str, message: str) -> None:
        plan = plan_of(folder, PAIR.replace(":Net", f':Net", form="{form}'))
        with pytest.raises(NodeError) as caught:
            ktgdsl.stepper(plan, "cpu")
        (found,) = caught.value.diagnostics
        assert (found.code, found.message) == ("E505", f"the network of node `a` {message}")


def test_the_place_of_a_network_without_a_head(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "spec.ktg"
    path.write_text(PAIR.replace(":Net", ':Net", form="missing') + DATA)
    assert cli.main(["run", str(path), "--out", str(folder / "run")]) == 1
    shown = capsys.readouterr().err
    assert "spec.ktg:3:" in shown
    assert "{ heads = [" in shown
    assert "to a dict of the logits" in shown
