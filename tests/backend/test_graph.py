"""The emitted module: who gets gradients, what stays frozen, its code, names and networks."""

import copy
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pytest
import safetensors.torch
import torch
from torch import Tensor, fx, nn

import ktgdsl
from tests.paths import ROOT

B, C = 4, 10
K = TypeVar("K")


class Logits(nn.Module):
    """A network whose logits are its parameter, whatever it is shown."""

    def __init__(self, seed: int, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        stream = torch.Generator().manual_seed(seed)
        self.z = nn.Parameter(torch.randn(B, C, generator=stream, dtype=torch.float64).to(dtype))

    def forward(self, image: Tensor) -> Tensor:
        return self.z


class Raising(nn.Module):
    """A network that cannot be run."""

    def forward(self, image: Tensor) -> Tensor:
        raise AssertionError("nothing may run a network before the first forward")


def plan(body: str, settings: str = "") -> ktgdsl.Plan:
    return ktgdsl.loads(f"graph test {{ {body} }} train {{ {settings} }}")


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(seed)
    image = torch.rand(B, 1, 8, 8, generator=stream)
    return image, torch.randint(0, C, (B,), generator=stream)


def backward(out: ktgdsl.Output) -> None:
    torch.autograd.backward(list(out.losses.values()))


def gradients(module: nn.Module) -> dict[str, Tensor]:
    """The gradients that there are, which are taken away from the module."""
    found = {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}
    module.zero_grad()
    return found


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_same(got: Mapping[K, Tensor], want: Mapping[K, Tensor]) -> None:
    """Equal to the bit, under the same keys in the same order."""
    assert list(got) == list(want)
    for key, tensor in want.items():
        assert torch.equal(got[key], tensor), key


def assert_same_output(got: ktgdsl.Output, want: ktgdsl.Output) -> None:
    assert_same(got.losses, want.losses)
    assert_same(got.edges, want.edges)
    assert_same(got.logits, want.logits)
    assert_same(got.open, want.open)


def codes(error: ktgdsl.KtgError) -> list[str]:
    return [diagnostic.code for diagnostic in error.diagnostics]


EVERYTHING = """
    node a, b, c = resnet8
    node t = wrn10_1 { frozen = true }
    target a, b, c
    edge label -> * : ce(smoothing=0.1), 0.5 * kl(T=4) via after(30%)
    edge * -> a : kl(T=4) via correct, js via linear
    edge * -> b : mse - 0.5 * cosine_distance via 0.5 * correct * linear
    edge [a, t] -> c : reverse_kl via 1 - correct, mse(on=probabilities) via cosine(0, 1)
    edge b -> c : kl via rampup(50%) + until(70%)
"""


# Gradients


@pytest.mark.parametrize(
    "term",
    [
        "kl - 0.5 * mse",
        "kl via 1 - correct", "kl via 0.5 * linear, mse via correct",
    ],
)  # fmt: skip
def test_no_gradient_reaches_a_source(term: str) -> None:
    networks = {name: Logits(seed) for seed, name in enumerate("ab")}
    graph = ktgdsl.build(
        plan(f"node a, b = resnet8 target a, b edge label -> * edge a <-> b : {term}"),
        networks=networks,
    )
    image, _ = batch()
    right = [networks[name].z.argmax(1) for name in "ab"]
    assert not torch.equal(*right)
    label = torch.cat([right[0][:2], right[1][2:]])  # `correct` is open for some samples
    for source, destination in [("a", "b"), ("b", "a")]:
        graph(image, label, 0.5).edges[source, destination].backward()
        assert networks[source].z.grad is None
        got = networks[destination].z.grad
        assert got is not None
        assert got.any()
        graph.zero_grad()


def test_the_gradient_of_a_nodes_loss_reaches_that_node_only() -> None:
    graph = ktgdsl.build(plan(EVERYTHING))
    for node in "abc":
        graph(*batch(), 0.5).losses[node].backward()
        reached = {name for name, network in graph.networks.items() if gradients(network)}
        assert reached == {node}


# What is cut off leaves no trace


def test_a_cut_off_edge_is_as_if_it_were_never_written() -> None:
    body = "node a, b, c = resnet8 target a, b, c edge label -> * edge a -> b : kl "
    for cut in ("kl via cutoff", "kl(T=7) via 0 * correct", "js via cutoff, mse via 0"):
        with_edge, without = plan(body + f"edge c -> a : {cut}"), plan(body)
        assert with_edge.graph.edges == without.graph.edges
        assert with_edge.digest == without.digest
        one, other = ktgdsl.build(with_edge), ktgdsl.build(without)
        assert one.code == other.code
        assert_same_output(one(*batch(), 0.5), other(*batch(), 0.5))


def test_a_cut_off_edge_is_still_named_among_what_was_dropped() -> None:
    cut = plan("node a, b = resnet8 target a, b edge label -> * edge b -> a : kl via cutoff")
    assert [(d.kind, d.name) for d in cut.graph.dropped] == [("edge", "b -> a")]


def test_with_all_transfer_cut_each_node_is_as_it_would_be_alone() -> None:
    together = ktgdsl.build(
        plan("node a, b = resnet8 target a, b edge label -> * edge * -> * : kl via cutoff")
    )
    backward(together(*batch(), 0.5))
    for name in "ab":
        alone = ktgdsl.build(plan(f"node {name} = resnet8 target {name} edge label -> {name}"))
        backward(alone(*batch(), 0.5))
        assert_same(gradients(together.networks[name]), gradients(alone.networks[name]))
        assert_same(state(together.networks[name]), state(alone.networks[name]))


def test_removing_an_unrelated_node_changes_nothing_in_the_others() -> None:
    body = "target a, b edge label -> * edge a <-> b : kl via correct"
    full = ktgdsl.build(plan("node a = resnet8 node x = wrn10_1 node b = resnet8 target x " + body))
    less = ktgdsl.build(plan("node a, b = resnet8 " + body))
    for graph in (full, less):
        backward(graph(*batch(), 0.5))
    for name in "ab":
        assert_same(gradients(full.networks[name]), gradients(less.networks[name]))
        assert_same(state(full.networks[name]), state(less.networks[name]))


# Frozen nodes


def trained(mode: str) -> tuple[ktgdsl.TrainingGraph, dict[str, Tensor]]:
    """A graph after three steps, and the state of its frozen node before them."""
    teacher = f"node t = resnet8 {{ frozen = true  mode = {mode} }}"
    graph = ktgdsl.build(plan(f"node a = resnet8 {teacher} target a edge [label, t] -> a"))
    before = {name: state(network) for name, network in graph.networks.items()}
    learning = [parameter for parameter in graph.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.1, momentum=0.9, weight_decay=5e-4)
    graph.train()
    for seed in range(3):
        optimizer.zero_grad()
        backward(graph(*batch(seed), 0.5))
        optimizer.step()
    after = state(graph.networks["a"])
    assert not torch.equal(after["stem.0.weight"], before["a"]["stem.0.weight"])
    return graph, before["t"]


def test_a_frozen_node_is_bit_equal_after_training() -> None:
    graph, before = trained("eval")
    assert any(name.endswith("running_var") for name in before)
    assert_same(state(graph.networks["t"]), before)


def test_a_frozen_node_in_train_mode_moves_its_statistics_but_not_its_weights() -> None:
    graph, before = trained("train")
    after = state(graph.networks["t"])
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    for name, tensor in after.items():
        assert torch.equal(tensor, before[name]) != name.endswith(statistics), name


def test_a_frozen_node_is_in_eval_mode_whatever_the_graph_is() -> None:
    for mode, follows in [("eval", False), ("train", True)]:
        graph, _ = trained(mode)
        for training in (True, False):
            graph.train(training)
            modes = {module.training for module in graph.networks["t"].modules()}
            assert modes == {training and follows}
            assert {m.training for m in graph.networks["a"].modules()} == {training}


def test_a_frozen_node_needs_no_gradient_and_gets_none() -> None:
    graph, _ = trained("eval")
    assert not any(p.requires_grad for p in graph.networks["t"].parameters())
    assert all(p.requires_grad for p in graph.networks["a"].parameters())
    image, label = batch()
    out = graph(image.requires_grad_(), label, 0.5)
    assert not out.logits["t"].requires_grad
    assert "t" not in out.losses
    backward(out)
    assert all(parameter.grad is None for parameter in graph.networks["t"].parameters())


def test_a_frozen_nodes_logits_are_those_of_eval_mode() -> None:
    graph, _ = trained("eval")
    image, label = batch()
    out = graph(image, label, 0.5)
    with torch.no_grad():
        alone = copy.deepcopy(graph.networks["t"]).eval()(image)
    assert torch.equal(out.logits["t"], alone)


# The code


def test_the_graph_is_an_fx_graph() -> None:
    graph = ktgdsl.build(plan(EVERYTHING))
    assert isinstance(graph, fx.GraphModule)
    assert isinstance(graph, ktgdsl.TrainingGraph)
    graph.graph.lint()


def test_the_printed_code_over_the_same_modules_is_bit_equal() -> None:
    graph = ktgdsl.build(plan(EVERYTHING, "aggregate = mean reduce = active"))
    namespace: dict[str, object] = {}
    exec(graph.code, namespace)
    forward = namespace["forward"]
    assert callable(forward)
    for progress in (0.1, 0.5, 1.0):
        out = graph(*batch(), progress)
        backward(out)
        want = gradients(graph)
        printed = forward(graph, *batch(), progress)
        backward(printed)
        assert_same_output(printed, out)
        assert_same(gradients(graph), want)


def test_each_network_is_called_once() -> None:
    calls = re.findall(r"self\.(\w+)\(image\)", ktgdsl.build(plan(EVERYTHING)).code)
    assert calls == ["node_a", "node_b", "node_c", "node_t"]


def test_log_probabilities_are_computed_once_for_a_node_and_temperature() -> None:
    code = ktgdsl.build(plan(EVERYTHING)).code
    calls = re.findall(r"= log_softmax\((\w+), ([\d.]+)\)", code)
    assert len(calls) == len(set(calls))
    # At 4, what comes from the label and what goes into `a` and leaves a, b, c and t.
    everywhere = {(f"logits_{name}", T) for name in "abct" for T in ("1.0", "4.0")}
    assert set(calls) == everywhere


def test_the_correct_gate_is_computed_once_for_a_source() -> None:
    code = ktgdsl.build(plan(EVERYTHING)).code
    calls = re.findall(r"= correct\((\w+), label\)", code)
    assert sorted(calls) == [f"logits_{name}" for name in "abct"]


def test_a_plan_from_json_gives_the_same_code_and_the_same_bits() -> None:
    original = plan(EVERYTHING, "aggregate = mean")
    returned = ktgdsl.Plan.from_json(original.to_json())
    one, other = ktgdsl.build(original), ktgdsl.build(returned)
    assert one.code == other.code
    assert_same_output(one(*batch(), 0.3), other(*batch(), 0.3))


def test_a_deep_copy_is_equal_and_independent() -> None:
    graph = ktgdsl.build(plan(EVERYTHING))
    twin = copy.deepcopy(graph)
    assert isinstance(twin, ktgdsl.TrainingGraph)
    assert twin.plan == graph.plan
    assert twin.code == graph.code
    want = graph(*batch(), 0.5)
    assert_same_output(twin(*batch(), 0.5), want)
    before = state(graph)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert_same(state(graph), before)
    twin.train()
    assert not any(module.training for module in twin.networks["t"].modules())


def test_torch_compile_takes_the_whole_graph() -> None:
    graph = ktgdsl.build(plan(EVERYTHING))
    compiled = torch.compile(graph, fullgraph=True, backend="eager")
    progress = torch.tensor(0.25, dtype=torch.float64)
    want = graph(*batch(), progress)
    backward(want)
    slopes = gradients(graph)
    out = compiled(*batch(), progress)
    backward(out)
    assert_same_output(out, want)
    assert_same(gradients(graph), slopes)


def test_progress_is_a_number_or_a_tensor() -> None:
    graph = ktgdsl.build(plan(EVERYTHING))
    for k in (1, 3, 7, 10):
        exact = graph(*batch(), torch.tensor(k / 10, dtype=torch.float64))
        assert_same_output(graph(*batch(), k / 10), exact)
    assert_same_output(graph(*batch(), 1), graph(*batch(), 1.0))


# Names


NAMES = [
    "keys", "type", "code", "class", "forward", "self", "image", "progress", "plan",
    "networks", "p_0", "p_0_", "a_to_b", "a", "b", "a_T4", "a_detached", "loss", "None",
    "log_softmax", "torch", "p_a",
]  # fmt: skip


def test_a_node_may_have_any_name() -> None:
    edges = "edge label -> * edge * -> * : kl via correct, kl(T=4) via linear"
    odd = plan(f"node {', '.join(NAMES)} = resnet8 node p[2] = resnet8 target class, p {edges}")
    size = len(NAMES) + 2
    plain = plan(f"node n[{size}] = resnet8 target n[0] {edges}")
    names = [*NAMES, "p[0]", "p[1]"]
    ours = {f"n[{i}]": name for i, name in enumerate(names)}
    graphs = [
        ktgdsl.build(odd, networks={name: Logits(i) for i, name in enumerate(names)}),
        ktgdsl.build(plain, networks={f"n[{i}]": Logits(i) for i in range(size)}),
    ]
    out, want = (graph(*batch(), 0.5) for graph in graphs)
    assert_same(out.losses, {ours[n]: loss for n, loss in want.losses.items()})
    renamed = {(ours.get(s, s), ours[t]): loss for (s, t), loss in want.edges.items()}
    assert_same(out.edges, renamed)
    backward(out)
    backward(want)
    slopes = [[gradients(n)["z"] for n in graph.networks.values()] for graph in graphs]
    assert all(torch.equal(one, other) for one, other in zip(*slopes, strict=True))


# Networks of one's own


TWO = "node a, b = resnet8 target a, b edge label -> * edge b -> a : kl"


def test_a_given_module_is_taken_as_it_is() -> None:
    mine = nn.Sequential(nn.Flatten(), nn.Linear(64, C))
    before = state(mine)
    graph = ktgdsl.build(plan(TWO), networks={"b": mine})
    assert graph.networks["b"] is mine
    assert_same(state(mine), before)
    image, label = batch()
    assert torch.equal(graph(image, label, 0.5).logits["b"], mine(image))


def test_build_runs_no_network() -> None:
    graph = ktgdsl.build(
        plan(TWO + " node t = resnet8 { frozen = true } edge t -> a : kl"),
        networks={name: Raising() for name in "abt"},
    )
    with pytest.raises(AssertionError, match="nothing may run"):
        graph(*batch(), 0.5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_networks_of_any_floating_dtype(dtype: torch.dtype) -> None:
    body = "node a, b = resnet8 target a, b edge label -> * edge b -> a : kl via correct, js, mse"
    low = {name: Logits(seed, dtype) for seed, name in enumerate("ab")}
    exact = {name: Logits(0) for name in "ab"}
    for name, network in exact.items():
        network.z.data = low[name].z.detach().double()
    out, want = (ktgdsl.build(plan(body), networks=n)(*batch(), 0.5) for n in (low, exact))
    computed = torch.float64 if dtype is torch.float64 else torch.float32
    assert {loss.dtype for loss in (*out.losses.values(), *out.edges.values())} == {computed}
    for key, edge in want.edges.items():
        assert out.edges[key].item() == pytest.approx(edge.item(), rel=1e-5)
    backward(out)
    for network in low.values():
        assert network.z.grad is not None
        assert network.z.grad.dtype == dtype
        assert network.z.grad.isfinite().all()


def test_a_network_for_a_dropped_node_is_ignored_with_a_warning() -> None:
    dropping = plan("node a, x = resnet8 target a edge label -> *")
    with pytest.warns(UserWarning, match="`x` is dropped") as caught:
        graph = ktgdsl.build(dropping, networks={"a": Logits(0), "x": Logits(1)})
    assert [warning.filename for warning in caught] == [__file__]
    assert list(graph.networks) == ["a"]
    assert graph(*batch(), 0.5).losses.keys() == {"a"}


@pytest.mark.parametrize(
    ("networks", "message", "fix"),
    [
        ({"student": Logits(0)}, "`student`", "did you mean `students`?"),
        ({"label": Logits(0)}, "`label`", "there are students, b"),
        ({"b": "resnet8"}, "gives a str to `b`", "leave out"),
        ({"b": None}, "gives a NoneType to `b`", "leave out"),
    ],
)
def test_a_wrong_entry_of_networks_is_an_error(
    networks: dict[str, nn.Module], message: str, fix: str
) -> None:
    two = plan("node students, b = resnet8 target students, b edge label -> *")
    with pytest.raises(ktgdsl.RunError) as caught:
        ktgdsl.build(two, networks=networks)
    assert codes(caught.value) == ["E505"]
    assert message in caught.value.diagnostics[0].message
    assert fix in (caught.value.diagnostics[0].help or "")


def test_one_module_cannot_be_two_nodes() -> None:
    mine = Logits(0)
    with pytest.raises(ktgdsl.RunError, match="one module to `a` and to `b`") as caught:
        ktgdsl.build(plan(TWO), networks={"a": mine, "b": mine})
    assert codes(caught.value) == ["E505"]


# Networks from a factory


def factory_plan(folder: Path, network: str) -> ktgdsl.Plan:
    file = folder / "spec.ktg"
    file.write_text(f"graph test {{ node a = python({network}) target a edge label -> a }}")
    return ktgdsl.load(file)


NETS = """
import torch
from torch import nn

def linear(width=1):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10 * width), nn.Unflatten(1, (10, width)))

def draws():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

def fails():
    raise ValueError("no such size")

def number():
    return 3

text = "a text"
"""


def test_a_factory_is_looked_up_beside_the_spec(tmp_path: Path) -> None:
    package = tmp_path / "beside_nets"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(NETS)
    written = factory_plan(tmp_path, '"beside_nets.models:linear", width=3')
    graph = ktgdsl.build(written)
    out = graph(batch()[0], torch.zeros(B, 3, dtype=torch.int64), 1.0)
    assert out.logits["a"].shape == (B, 10, 3)


def test_a_factorys_weights_come_from_the_nodes_stream(tmp_path: Path) -> None:
    (tmp_path / "drawing_nets.py").write_text(NETS)
    written = factory_plan(tmp_path, '"drawing_nets:draws"')
    before = torch.get_rng_state()
    first = ktgdsl.build(written)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert_same(state(ktgdsl.build(written)), state(first))
    other = state(ktgdsl.build(written, seed=1))
    assert not torch.equal(other["node_a.1.weight"], state(first)["node_a.1.weight"])


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        ("no_such_nets:linear", "cannot be imported: ModuleNotFoundError"),
        ("failing_nets:no_such", "cannot be imported: AttributeError"),
        ("failing_nets:fails", "fails: ValueError: no such size"),
        ("failing_nets:text", "fails: TypeError"),
        ("failing_nets:number", "gives a int"),
        ("broken_nets:linear", "cannot be imported: SyntaxError"),
    ],
)
def test_a_factory_that_cannot_be_used_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str, told: str
) -> None:
    for name, text in [("failing_nets", NETS), ("broken_nets", "def :")]:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ktgdsl.RunError) as caught:
        ktgdsl.build(factory_plan(tmp_path, f'"{factory}"'))
    assert codes(caught.value) == ["E505"]
    assert f'python("{factory}") of node `a` {told}' in caught.value.diagnostics[0].message


def test_a_module_beside_another_spec_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "twice_nets.py").write_text(NETS)
    for _ in range(2):
        ktgdsl.build(factory_plan(tmp_path / "one", '"twice_nets:draws"'))
    with pytest.raises(ktgdsl.RunError, match="is hidden by a module of that name") as caught:
        ktgdsl.build(factory_plan(tmp_path / "other", '"twice_nets:draws"'))
    assert codes(caught.value) == ["E505"]


# Initial weights


def test_initial_weights_depend_on_the_seed_and_the_nodes_name_only() -> None:
    three = ktgdsl.build(plan("node a, b, c = resnet8 target a, b, c edge label -> *"))
    two = ktgdsl.build(plan("node c, a = resnet8 target c, a edge label -> * edge a <-> c : kl"))
    for name in "ac":
        assert_same(state(three.networks[name]), state(two.networks[name]))
    weight = "stem.0.weight"
    drawn = [state(three.networks[name])[weight] for name in "abc"]
    drawn.append(state(ktgdsl.build(two.plan, seed=1).networks["a"])[weight])
    for i, one in enumerate(drawn):
        assert not any(torch.equal(one, other) for other in drawn[:i])


def test_a_given_network_leaves_the_others_as_they_are() -> None:
    given = ktgdsl.build(plan(TWO), networks={"a": Logits(0)})
    assert_same(state(given.networks["b"]), state(ktgdsl.build(plan(TWO)).networks["b"]))


def test_the_seed_is_the_plans_unless_given() -> None:
    seeded = ktgdsl.build(plan(TWO, "seed = 7"))
    assert_same(state(seeded), state(ktgdsl.build(plan(TWO), seed=7)))


def test_build_leaves_the_global_random_state_alone() -> None:
    body = (
        "node a = resnet8 node b = wrn(depth=10, widen=1, dropout=0.3) target a, b edge label -> *"
    )
    before = torch.get_rng_state()
    ktgdsl.build(plan(body))
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_are_read_from_the_file_that_the_node_names(tmp_path: Path) -> None:
    donor = ktgdsl.build(plan(TWO), seed=5).networks["a"]
    file = tmp_path / "t.safetensors"
    safetensors.torch.save_file(state(donor), file)
    spec = tmp_path / "spec.ktg"
    spec.write_text(
        """graph test {
            node a = resnet8 { weights = "t.safetensors" }
            node t = resnet8 { weights = "t.safetensors" frozen = true }
            node w = wrn10_1
            target a
            edge [label, t] -> a
        }"""
    )
    graph = ktgdsl.build(ktgdsl.load(spec))
    for name in "at":
        assert_same(state(graph.networks[name]), state(donor))
    with pytest.raises(ktgdsl.RunError, match=r"stem\.weight: not in the file") as caught:
        ktgdsl.build(ktgdsl.load(spec, ["node.a=wrn10_1"]))
    assert codes(caught.value) == ["E406"]


def test_a_graph_goes_through_a_file(tmp_path: Path) -> None:
    graph = ktgdsl.build(ktgdsl.load(ROOT / "specs" / "gates.ktg"))
    torch.save(graph, tmp_path / "graph.pt")
    again = torch.load(tmp_path / "graph.pt", weights_only=False)
    assert again.plan == graph.plan
    assert again.code == graph.code
    image, label = torch.rand(4, 1, 8, 8), torch.tensor([1, 2, 3, -1])
    for one in (graph, again):
        one.eval()
    assert_same(again(image, label, 0.5).losses, graph(image, label, 0.5).losses)


def test_a_frozen_node_says_that_it_is_in_eval_mode() -> None:
    graph = ktgdsl.build(plan("node a, t = resnet8 target a edge [label, t] -> a"))
    graph.train()
    modes = {name: module.training for name, module in graph.named_children()}
    assert graph.training
    assert modes == {"node_a": True, "node_t": False}
