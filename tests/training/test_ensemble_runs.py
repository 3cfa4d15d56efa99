"""Runs with ensembles: published methods, what a folder has of them, phases, kills and resuming."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import ktgdsl
from ktgdsl.plan.model import Plan
from ktgdsl.training.data import load_splits
from ktgdsl.training.events import EpochDone, Event
from ktgdsl.training.result import RunResult
from ktgdsl.training.run import resume

SMALL = "resnet(depth=8, width=4)"
DATA = "data digits { batch = 32  samples = 64  validation = 32 }"
METHODS = {
    "kdcl": f"""
        node p[3] = {SMALL}
        node mix  = ensemble(p, combine=minimum)
        target p[0]
        edge label -> p
        edge mix   -> p : kl(T=2)
    """,
    "okddip": f"""
        node p[2], leader = {SMALL}
        node own  = ensemble(p, combine=attention)
        node mix  = ensemble(p)
        target leader
        edge label -> p, leader, own
        edge own   -> p      : kl(T=3) via rampup(1)
        edge mix   -> leader : kl(T=3) via rampup(1)
    """,
    "pcl": f"""
        node p[2] = {SMALL}
        node slow = ema(p)
        node mix  = ensemble(p, combine=concat, detach=false)
        target p[0]
        edge label   -> p, mix
        edge mix     -> p    : kl(T=3) via rampup(1)
        edge slow[0] -> p[1] : kl(T=3) via rampup(1)
        edge slow[1] -> p[0] : kl(T=3) via rampup(1)
    """,
    "song and chai": f"""
        node p[3] = {SMALL}
        node mix  = ensemble(p, others=true, detach=true)
        target p[0]
        edge label -> p : 0.5 * ce
        edge mix   -> p : 0.5 * kl(T=2)
    """,
    "teacher-free kd": f"""
        node a   = {SMALL}
        node mix = constant(correct=0.9)
        target a
        edge label -> a : ce          via 0.9
        edge mix   -> a : kl(T=20)    via 0.1
    """,
}
BORN_AGAIN = f"""
    graph born_again {{
        node g[3] = {SMALL}
        node mix  = ensemble(g)
        target mix
        edge label -> g    : ce      via 0.2
        edge g[0]  -> g[1] : kl(T=4) via 0.8
        edge g[1]  -> g[2] : kl(T=4) via 0.8
    }}
    phase first  {{ learn = [g[0]] }}
    phase second {{ learn = [g[1]] }}
    phase third  {{ learn = [g[2]] }}
    {DATA}
    train {{ epochs = 1 }}
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


def run(plan: Plan, out: Path, **options: Any) -> RunResult:
    return ktgdsl.run(plan, out=out, device="cpu", **options)


def loaded(text: str) -> Plan:
    plan: Plan = ktgdsl.loads(text)
    return plan


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def accuracy(network: nn.Module, plan: Plan) -> float:
    """On the test split, of images in [0, 1]."""
    split = load_splits(plan.data, 0, torch.device("cpu")).test
    image, label = split.batch(slice(0, len(split)))
    with torch.no_grad():
        top = network(image).argmax(1)
    return 100 * float((top == label).double().mean())


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_trained_evaluated_saved_and_loaded(method: str, tmp_path: Path) -> None:
    plan = loaded(f"graph g {{ {METHODS[method]} }} {DATA} train {{ epochs = 1 }}")
    result = run(plan, tmp_path / "run")
    evaluated = {node.name for node in plan.graph.evaluated}
    lines = metrics(tmp_path / "run")
    assert result.nodes.keys() == evaluated == {line["node"] for line in lines}
    assert ("mix" in evaluated) == (method != "teacher-free kd")
    for name in evaluated:
        network = ktgdsl.load_network(tmp_path / "run", name)
        assert accuracy(network, plan) == pytest.approx(result.nodes[name].accuracy.mean)
    files = {path.stem for path in (tmp_path / "run" / "nodes").iterdir()}
    learned = {node.name for node in plan.graph.derived if node.optimizer is not None}
    assert files == plan.graph.networks.keys() | learned


def test_a_constant_has_no_network(tmp_path: Path) -> None:
    plan = loaded(f"graph g {{ {METHODS['teacher-free kd']} }} {DATA} train {{ epochs = 1 }}")
    run(plan, tmp_path / "run")
    with pytest.raises(ktgdsl.RunError, match="has no node `mix`"):
        ktgdsl.load_network(tmp_path / "run", "mix")


def test_an_ensemble_of_generations(tmp_path: Path) -> None:
    plan = loaded(BORN_AGAIN)
    result = run(plan, tmp_path / "run")
    assert result.target == "mix"
    lines = metrics(tmp_path / "run")
    # A phase computes what it needs: the ensemble is evaluated at the end.
    assert [(line["phase"], line["node"]) for line in lines] == [
        ("first", "g[0]"), ("second", "g[0]"), ("second", "g[1]"),
        ("third", "g[1]"), ("third", "g[2]"),
    ]  # fmt: skip
    networks = [ktgdsl.load_network(tmp_path / "run", f"g[{i}]") for i in range(3)]
    mix = ktgdsl.load_network(tmp_path / "run", "mix")
    image = torch.rand(4, 1, 8, 8)
    mean = torch.stack([network(image) for network in networks]).mean(0)
    torch.testing.assert_close(mix(image), mean)
    assert accuracy(mix, plan) == pytest.approx(result.nodes["mix"].accuracy.mean)


PHASES = f"""
    graph g {{
        node a, b = {SMALL}
        node mix  = ensemble(a, b, combine=concat, detach=false)
        target mix
        edge label -> *
        edge label -> mix
        edge mix   -> a
    }}
    phase alone    {{ learn = [a, b] }}
    phase together {{ learn = [a, mix]  epochs = 2  take = best }}
    {DATA.replace("}", "holdout = true }")}
    train {{ epochs = 1 }}
"""


def stop_after(count: int) -> Any:
    """A listener that interrupts a run after so many epochs."""
    done = 0

    def listen(event: Event) -> None:
        nonlocal done
        if isinstance(event, EpochDone):
            done += 1
            if done == count:
                raise KeyboardInterrupt

    return listen


@pytest.mark.parametrize("epochs", [1, 2])
def test_killed_and_resumed_it_has_equal_bits(epochs: int, tmp_path: Path) -> None:
    plan = loaded(PHASES)
    whole = run(plan, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path / "cut", listener=stop_after(epochs))
    resumed = resume(tmp_path / "cut")
    assert resumed.nodes == whole.nodes
    image = torch.rand(4, 1, 8, 8)
    one, other = (ktgdsl.load_network(tmp_path / name, "mix") for name in ("whole", "cut"))
    assert torch.equal(one(image), other(image))


def test_in_a_phase_an_ensemble_learns_only_where_it_is_listed() -> None:
    step = ktgdsl.stepper(loaded(PHASES), "cpu", steps=2)
    image, label = torch.rand(8, 1, 8, 8), torch.randint(10, (8,))

    def snapshot() -> dict[str, list[torch.Tensor]]:
        modules = step.networks | step.mixers
        return {name: [p.detach().clone() for p in m.parameters()] for name, m in modules.items()}

    def changed() -> set[str]:
        before = snapshot()
        step(image, label)
        pairs = {name: zip(old, snapshot()[name], strict=True) for name, old in before.items()}
        return {name for name, each in pairs.items() if any(not torch.equal(*p) for p in each)}

    assert [changed() for _ in range(4)] == [{"a", "b"}] * 2 + [{"a", "mix"}] * 2


def test_one_member_alone_trains_as_the_member_does() -> None:
    """An ensemble of one that passes on what it learns is another name of its member."""

    def trained(edges: str) -> list[torch.Tensor]:
        text = f"graph g {{ node a = {SMALL} {edges} target a }} {DATA} train {{ epochs = 1 }}"
        step = ktgdsl.stepper(loaded(text), "cpu", steps=2)
        for k in range(2):
            torch.manual_seed(k)
            step(torch.rand(8, 1, 8, 8), torch.arange(8))
        return [p.detach() for p in step.networks["a"].parameters()]

    through = "node m = ensemble(a, detach=false) { keep = true } edge label -> a, m : 0.5 * ce"
    for got, want in zip(trained(through), trained("edge label -> a"), strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-6)
