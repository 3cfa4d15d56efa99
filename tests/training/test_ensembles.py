"""Ensembles in a training: who learns from what, resumed, evaluated, saved and loaded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import ktgdsl
from ktgdsl.backend.side_by_side import side_by_side
from ktgdsl.bench.candidates import limit, training
from ktgdsl.plan.model import Plan
from ktgdsl.training.costs import operations
from ktgdsl.training.step import Stepper
from tests.training.test_phases import batch
from tests.training.test_step import assert_equal, through_a_file, weights

DATA = "data digits { batch = 16  samples = 64  validation = 32 }"
EVERYTHING = (Path(__file__).parents[1] / "program" / "ensembles.ktg").read_text()
SMALL = "resnet(depth=8, width=4)"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


def load(body: str, more: str = "train { epochs = 1 }") -> Plan:
    plan: Plan = ktgdsl.loads(f"graph g {{ {body} }} {more} {DATA}")
    return plan


def everything(more: str = "") -> Plan:
    plan: Plan = ktgdsl.loads(EVERYTHING.replace("train { epochs = 1 }", f"{DATA} {more}"))
    return plan


def state(step: Stepper) -> dict[str, Tensor]:
    """All weights and statistics, of ensembles too."""
    modules = step.networks | step.mixers
    return {
        f"{node}.{name}": tensor.clone()
        for node, module in modules.items()
        for name, tensor in module.state_dict().items()
    }


# Gradients


COMBINES = ["mean", "sum", "minimum", "gated(by=a.stage2)", "attention", "concat", "linear"]
LEARNED = COMBINES[3:]


def reached(body: str) -> set[str]:
    """What gets a gradient from the loss of `m` alone."""
    plan = load(f"node a, b = {SMALL} {{ keep = true }} {body} target a edge label -> *, m")
    graph = ktgdsl.build(plan)
    loss = graph(*batch(0), 0.5).losses["m"]
    torch.autograd.backward(loss)
    found = dict(graph.named_children())
    return {
        name for name, each in found.items() if any(p.grad is not None for p in each.parameters())
    }


@pytest.mark.parametrize("combine", COMBINES)
def test_a_gradient_reaches_the_members_only_with_detach_false(combine: str) -> None:
    networks = {"node_a", "node_b"}
    own = {"mixer_m"} if combine in LEARNED else set()
    open_ = f"node m = ensemble(a, b, combine={combine}, detach=false) {{ keep = true }}"
    assert reached(open_) == networks | own
    if own:
        assert reached(open_.replace("detach=false", "detach=true")) == own


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("detach", ["true", "false"])
def test_nothing_flows_back_through_an_edge_out_of_an_ensemble(combine: str, detach: str) -> None:
    taught = "edge label -> m" if combine in LEARNED else ""
    graph = ktgdsl.build(
        load(
            f"node a, b, c = {SMALL} node m = ensemble(a, b, combine={combine}, detach={detach}) "
            f"target c edge label -> * {taught} edge m -> c : kl(T=2) via confident(0.01)"
        )
    )
    torch.autograd.backward(graph(*batch(0), 0.5).edges["m", "c"])
    found = dict(graph.named_children())
    got = {name for name, m in found.items() if any(p.grad is not None for p in m.parameters())}
    assert got == {"node_c"}


def test_a_frozen_member_is_as_it_was() -> None:
    plan = load(
        f"node a = {SMALL} node t = {SMALL} {{ frozen = true }} target m edge label -> a, m\n"
        "node m = ensemble(a, t, combine=gated(by=t.stage1), detach=false) edge m -> a"
    )
    step = ktgdsl.stepper(plan, "cpu", networks={"t": ktgdsl.build(plan, seed=5).networks["t"]})
    before = weights(step, "t")
    for k in range(3):
        step(*batch(k))
    assert_equal(before, weights(step, "t"))


# Values


class Table(nn.Module):
    """A network whose logits are its parameter, whatever it is shown."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.z = nn.Parameter(torch.from_numpy(np.random.default_rng(seed).normal(size=(6, 10))))

    def forward(self, image: Tensor) -> Tensor:
        return self.z * 1.0


def tables(plan: Plan) -> tuple[ktgdsl.Output, dict[str, Table]]:
    networks = {node.name: Table(i) for i, node in enumerate(plan.graph.nodes)}
    graph = ktgdsl.build(plan, networks)
    label = torch.tensor([0, 3, 5, -1, 9, 2])
    return graph(torch.zeros(6, 1, 8, 8), label, 1.0), networks


def kl(s: Tensor, t: Tensor) -> Tensor:
    p = s.softmax(1)
    return (p * (s.log_softmax(1) - t.log_softmax(1))).sum(1).mean()


def test_others_leaves_out_the_destination_alone() -> None:
    out, z = tables(
        load(
            f"node a, b, c, d = {SMALL} node m = ensemble(a, b, c, others=true) target a, d\n"
            "edge label -> * edge m -> a, b, d"
        )
    )
    mixes: dict[str, list[Tensor]] = {
        "a": [z["b"].z, z["c"].z],
        "b": [z["a"].z, z["c"].z],
        "d": [z[n].z for n in "abc"],
    }
    for name, members in mixes.items():
        want = kl(torch.stack(members).mean(0), z[name].z)
        assert out.edges["m", name].item() == pytest.approx(want.item(), abs=1e-12)
    together = torch.stack([z[n].z for n in "abc"]).mean(0)
    torch.testing.assert_close(out.logits["m"], together, rtol=0, atol=1e-12)


def test_an_ensemble_of_ensembles_and_probabilities() -> None:
    out, z = tables(
        load(
            f"node a, b, c = {SMALL} node m = ensemble(a, b, on=probabilities, others=true)\n"
            "node n = ensemble(m, c, combine=sum) target a edge label -> * edge n -> a"
        )
    )
    of_b = z["b"].z.log_softmax(1)
    want = kl(of_b + z["c"].z, z["a"].z)
    assert out.edges["n", "a"].item() == pytest.approx(want.item(), abs=1e-12)
    p = (z["a"].z.softmax(1) + z["b"].z.softmax(1)) / 2
    torch.testing.assert_close(out.logits["m"], p.log(), rtol=0, atol=1e-12)
    torch.testing.assert_close(out.logits["n"], p.log() + z["c"].z, rtol=0, atol=1e-12)


def test_one_member_is_that_member() -> None:
    words = ["mean", "sum", "linear"]
    nodes = " ".join(f"node m{i} = ensemble(b, combine={w})" for i, w in enumerate(words))
    out, z = tables(
        load(f"node a, b = {SMALL} {nodes} target a edge label -> *, m2 edge m0, m1, m2 -> a")
    )
    for name in ("m0", "m1", "m2"):
        assert out.edges[name, "a"].item() == pytest.approx(
            kl(z["b"].z, z["a"].z).item(), abs=1e-12
        )


def test_the_minimum_is_evaluated_without_the_label() -> None:
    out, z = tables(
        load(
            f"node a, b = {SMALL} node m = ensemble(a, b, combine=minimum) target a\n"
            "edge label -> * edge m -> a"
        )
    )
    y = (z["a"].z + z["b"].z).argmax(1, keepdim=True)
    want = torch.minimum(*(z[n].z - z[n].z.gather(1, y) for n in "ab"))
    torch.testing.assert_close(out.logits["m"], want, rtol=0, atol=1e-12)
    label = torch.tensor([0, 3, 5, -1, 9, 2])
    known = torch.where(label >= 0, label, y[:, 0]).unsqueeze(1)
    taught = torch.minimum(*(z[n].z - z[n].z.gather(1, known) for n in "ab"))
    assert out.edges["m", "a"].item() == pytest.approx(kl(taught, z["a"].z).item(), abs=1e-12)


def test_a_constant_is_a_smoothed_label() -> None:
    plan = load(
        f"node a = {SMALL} node k = constant(correct=0.9) target a\n"
        "edge label -> * edge k -> a : kl(T=20)"
    )
    out, z = tables(plan)
    label = torch.tensor([0, 3, 5, -1, 9, 2])
    p = torch.full((6, 10), 0.1 / 9, dtype=torch.float64)
    p[torch.arange(6), label.clamp_min(0)] = 0.9
    p[3] = 0.1
    want = 400 * kl(p.log() / 20, z["a"].z / 20)
    assert out.edges["k", "a"].item() == pytest.approx(want.item(), abs=1e-12)
    assert "k" not in out.logits


class Dense(nn.Module):
    """Logits for each pixel, of features that are maps."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 3, 1)
        self.head = nn.Conv2d(3, 10, 1)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(image))
        return logits


@pytest.mark.parametrize("combine", COMBINES)
def test_pixels_are_combined_one_by_one(combine: str) -> None:
    by = combine.replace("a.stage2", "a.features")
    plan = load(
        f"node a, b = {SMALL} node m = ensemble(a, b, combine={by}, detach=false) target a\n"
        "edge label -> *, m edge m -> a : kl via correct"
    )
    graph = ktgdsl.build(plan, {"a": Dense(), "b": Dense()})
    image, label = torch.rand(4, 1, 8, 8), torch.randint(-1, 10, (4, 8, 8))
    output = graph(image, label, 1.0)
    assert output.logits["m"].shape == (4, 10, 8, 8)
    torch.autograd.backward(list(output.losses.values()))
    assert all(p.grad is not None for p in graph.networks["b"].parameters())


# The whole of it


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
def test_a_resumed_training_has_equal_bits(update: str) -> None:
    plan = everything(f"train {{ epochs = 1  update = {update} }}")
    whole, first, second = (ktgdsl.stepper(plan, "cpu", steps=4) for _ in range(3))
    initial = state(whole)
    for k in range(4):
        whole(*batch(k))
    for k in range(2):
        first(*batch(k))
    second.load_state_dict(through_a_file(first.state_dict()))
    for k in range(2, 4):
        second(*batch(k))
    assert_equal(state(whole), state(second))
    moved = [name for name, each in state(whole).items() if not torch.equal(each, initial[name])]
    for node in (*whole.networks, *whole.mixers):
        assert any(name.startswith(f"{node}.") for name in moved), node


def test_the_printed_code_is_what_runs() -> None:
    graph = ktgdsl.build(everything())
    namespace: dict[str, object] = {}
    exec(graph.code, namespace)
    forward = namespace["forward"]
    assert callable(forward)
    one, other = graph(*batch(0), 0.5), forward(graph, *batch(0), 0.5)
    for got, want in zip(one.edges.values(), other.edges.values(), strict=True):
        assert torch.equal(got, want)


def test_what_is_computed_once_is_called_once() -> None:
    code = ktgdsl.build(everything()).code
    assert code.count("self.mixer_mix(") == 1
    assert code.count("self.mixer_peer(") == 3  # one for each destination
    assert code.count("self.node_h_0(") == 1


def test_networks_side_by_side_are_what_they_are_in_turn() -> None:
    plain, other = (ktgdsl.build(everything()).double() for _ in range(2))
    beside = side_by_side(other, 1)
    image, label = batch(0)
    inputs = image.double(), label, torch.tensor(0.5, dtype=torch.float64)
    for compute in (plain, beside):
        torch.autograd.backward(list(compute(*inputs).losses.values()))
    got = {name: each.grad for name, each in other.named_parameters() if each.grad is not None}
    for name, each in plain.named_parameters():
        if each.grad is not None:
            torch.testing.assert_close(got[name], each.grad, rtol=0, atol=1e-9)


def test_a_mixer_depends_on_the_seed_and_the_ensemble_alone() -> None:
    def scores(seed: int, more: str = "") -> dict[str, Tensor]:
        body = (
            f"node a, b = {SMALL} node m = ensemble(a, b, combine=concat) {more} target a\n"
            "edge label -> *, m edge m -> a"
        )
        step = ktgdsl.stepper(load(body), "cpu", seed=seed)
        return {name: each.clone() for name, each in step.mixers["m"].state_dict().items()}

    assert_equal(scores(0), scores(0, f"node c = {SMALL} {{ keep = true }}"))
    assert not torch.equal(scores(0)["layer.weight"], scores(1)["layer.weight"])


# In turn


def turns(combine: str) -> Stepper:
    plan = load(
        f"node a, b = {SMALL} node m = ensemble(a, b, combine={combine}, detach=false) target a\n"
        "edge label -> *, m edge m -> a",
        "train { epochs = 1  update = sequential  optimizer = sgd(lr=0.1, momentum=0) }",
    )
    return ktgdsl.stepper(plan, "cpu", steps=4)


@pytest.mark.parametrize("combine", ["mean", "gated(by=a.stage2)"])
def test_in_turn_each_member_learns_from_the_ensemble_and_it_from_itself(combine: str) -> None:
    step = turns(combine)
    own = [("a", "m"), ("b", "m"), *([("m",)] if combine != "mean" else [])]
    (phase,) = step.program.phases
    assert [update.learns for update in phase.updates] == own
    accesses = [update.mixers.get("mixer_m") for update in phase.updates]
    assert accesses == (["source", "source", "learn"] if combine != "mean" else [None, None])
    before = state(step)
    step(*batch(0))
    changed = {
        k.partition(".")[0] for k, each in state(step).items() if not torch.equal(each, before[k])
    }
    assert changed == {"a", "b", *step.mixers}


def test_in_turn_a_gradient_passes_through_the_gate_and_leaves_it() -> None:
    """The first turn moves `a` as one update of all would, whose other members stay."""
    step = turns("gated(by=a.stage2)")
    graph, other = step._step.graphs[0], ktgdsl.build(step.plan)
    outputs = [each(*batch(0), 0.5) for each in (graph, other)]
    torch.autograd.backward(list(outputs[0].losses.values()))
    torch.autograd.backward([outputs[1].losses["a"], outputs[1].losses["m"]])
    pairs = zip(graph.networks["a"].parameters(), other.networks["a"].parameters(), strict=True)
    slopes = [(p.grad, q.grad) for p, q in pairs if q.grad is not None]
    assert slopes
    assert all(p is not None and torch.allclose(p, q, atol=1e-6) for p, q in slopes)
    assert all(each.grad is None for each in step.mixers["m"].parameters())
    assert all(each.grad is None for each in graph.networks["b"].parameters())


# In any graph


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """A graph of three networks, one of them frozen, with ensembles of every kind over them."""
    lines = [
        f"node a, b = {SMALL} {{ keep = true }}",
        f"node t = {SMALL} {{ frozen = true  keep = true }}",
    ]
    lines += ["target a", "edge label -> *"]
    combines = ["mean", "sum", "minimum", "gated(by=b.stage1)", "attention", "concat", "linear"]
    for i, combine in enumerate(draw(st.lists(st.sampled_from(combines), min_size=1, max_size=3))):
        members = draw(st.sampled_from(["a, b", "b, t", "a, b, t", "b"]))
        several = "," in members and combine != "concat"
        others = draw(st.booleans()) and several
        plain = combine in ("mean", "gated(by=b.stage1)", "attention", "linear")
        on = draw(st.sampled_from(["logits", "probabilities"])) if plain else "logits"
        detach = draw(st.booleans())
        options = f"others={others}, on={on}, detach={detach}".lower()
        lines.append(f"node m{i} = ensemble({members}, combine={combine}, {options})")
        gate = draw(st.sampled_from(["through", "correct", "agree", "confident(0.05)"]))
        lines.append(f"edge m{i} -> a : kl(T=2) via {gate}")
        if combine not in ("mean", "sum", "minimum") or not detach:
            lines.append(f"edge label -> m{i}")
    return " ".join(lines)


@settings(max_examples=5, deadline=None)
@given(bodies(), st.sampled_from(["simultaneous", "sequential"]))
def test_in_any_graph_each_edge_teaches_its_destination_alone(body: str, update: str) -> None:
    plan = load(body, f"train {{ epochs = 1  update = {update} }}")
    graph = ktgdsl.build(plan)
    modules = dict(graph.named_children())
    output = graph(*batch(0), 0.5)
    passing = {n.name for n in plan.graph.derived if n.made.arguments.get("detach") is False}
    for (_, destination), loss in output.edges.items():
        graph.zero_grad()
        torch.autograd.backward(loss, retain_graph=True)
        got = {n for n, m in modules.items() if any(p.grad is not None for p in m.parameters())}
        own = {f"node_{destination}", f"mixer_{destination}"}
        assert got <= own | ({"node_a", "node_b"} if destination in passing else set())
    step = ktgdsl.stepper(plan, "cpu", networks={"t": ktgdsl.build(plan).networks["t"]}, steps=2)
    before = weights(step, "t")
    step(*batch(0))
    assert_equal(before, weights(step, "t"))
    namespace: dict[str, object] = {}
    exec(graph.code, namespace)
    again = namespace["forward"](graph, *batch(0), 0.5)  # type: ignore[operator]  # exec'd
    assert all(torch.equal(again.edges[key], loss) for key, loss in output.edges.items())


def test_the_bound_of_a_benchmark_has_no_ensembles() -> None:
    ensemble = "node m = ensemble(a, b, combine=concat) edge label -> m edge m -> a"
    with_it, without = (
        training(load(f"node a, b = {SMALL} {more} target a edge label -> *"), torch.device("cpu"))
        for more in (ensemble, "edge b -> a")
    )
    assert operations(limit(with_it).call) == operations(limit(without).call) > 0
