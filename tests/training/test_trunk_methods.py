"""Published methods with a trunk and several heads: ONE, Song & Chai, DKS and OKDDip."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from ktgdsl.backend.networks import make
from ktgdsl.training.prepare import stepper
from tests.specs import of
from tests.trained import train_plan

TRUNK, HEAD = ("stem", "stage1", "stage2"), ("stage3", "features", "logits")
SHARE = "share h { layers = [stem, stage1, stage2] }"


def networks(count: int) -> dict[str, nn.Module]:
    made: dict[str, nn.Module] = {}
    for i in range(count):
        torch.manual_seed(i)
        made[f"h[{i}]"] = make("resnet", {"depth": 8, "width": 4}, 1, 10).double()
    return made


def part(network: nn.Module, names: tuple[str, ...]) -> nn.Sequential:
    return nn.Sequential(*(network.get_submodule(name) for name in names))


def kl(source: Tensor, destination: Tensor, T: float) -> Tensor:
    p = (source.detach() / T).log_softmax(1)
    q = (destination / T).log_softmax(1)
    return T**2 * kl_div(q, p, log_target=True, reduction="batchmean")


def test_one_step_of_one() -> None:
    """Lan et al., NeurIPS 2018: Σ ce(z_i) + ce(z_e) + ramp · T² Σ kl(z_e ‖ z_i), one trunk."""
    plan = of(
        f"""
        node h[3] = resnet(8, width=4)
        node mix  = ensemble(h, combine=gated(by=h[0].stage2), detach=false)
        target h[0] {SHARE}
        edge label -> *
        edge label -> mix
        edge mix -> h : kl(T=3) via rampup(80)
        """,
        "train { epochs = 100 }",
    )
    own = networks(3)
    step = stepper(plan, "cpu", networks=own)
    torch.manual_seed(3)
    image, label = torch.rand(8, 1, 8, 8, dtype=torch.float64), torch.arange(8)
    trunk = part(own["h[0]"], TRUNK)
    parameters = [*trunk.parameters()]
    graph = step.graph.train()
    progress = 0.3
    output = graph(image, label, progress)
    found = torch.autograd.grad(sum(output.losses.values(), torch.zeros(())), parameters)

    x = trunk(image)
    logits = [part(network, HEAD)(x) for network in own.values()]
    gate = graph.get_submodule("mixer_mix")(x).softmax(1)
    mixed = sum((gate[:, i : i + 1] * z for i, z in enumerate(logits)), torch.zeros(()))
    ramp = math.exp(-5 * (1 - progress * 100 / 80) ** 2)
    total = cross_entropy(mixed, label)
    for z in logits:
        total = total + cross_entropy(z, label) + ramp * kl(mixed, z, 3)
    want = torch.autograd.grad(total, parameters)
    torch.testing.assert_close(output.logits["mix"], mixed, rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(found, want, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


METHODS = {
    "one": f"""
        node h[3] = resnet(8, width=4)
        node mix  = ensemble(h, combine=gated(by=h[0].stage2), detach=false)
        target h[0] {SHARE}
        edge label -> h, mix
        edge mix -> h : kl(T=3) via rampup(1)
    """,
    "song and chai": """
        node h[4] = resnet(8, width=4)
        node peers = ensemble(h, others=true)
        target h[0]
        share h { layers = [stem] grad = mean }
        share h[0], h[1] { layers = [stem, stage1, stage2] grad = mean }
        share h[2], h[3] { layers = [stem, stage1, stage2] grad = mean }
        edge label -> h : 0.5 * ce
        edge peers -> h : 0.5 * kl(T=2)
    """,
    "dks": """
        node h[3] = resnet(8, width=4)
        target h[0]
        share h { layers = [stem] }
        share h[0], h[1] { layers = [stem, stage1] }
        edge label -> h
        edge * -> h
    """,
    "okddip": f"""
        node h[3] = resnet(8, width=4)
        node leader = resnet(8, width=4)
        node own = ensemble(h, combine=attention)
        node mean = ensemble(h)
        target leader {SHARE.replace("share h", "share h, leader")}
        edge label -> h, leader, own
        edge own -> h : kl(T=3) via rampup(1)
        edge mean -> leader : kl(T=3) via rampup(1)
    """,
}


@pytest.mark.parametrize("name", METHODS)
def test_trained_to_the_end(name: str) -> None:
    plan = of(METHODS[name], "data digits { samples = 96 batch = 32 } train { epochs = 2 }")
    trained = train_plan(plan)
    for network in trained.stepper.networks.values():
        assert all(each.isfinite().all() for each in network.parameters())
        assert int(network.get_buffer("stem.1.num_batches_tracked")) == 6
    stems = {id(network.get_submodule("stem")) for network in trained.stepper.networks.values()}
    assert len(stems) == 1
    assert set(trained.accuracy.test) >= {node.name for node in plan.graph.nodes}
