"""Eqs. 1 to 7 end to end: a text goes in, losses and gradients equal those of NumPy."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import ktgdsl
from ktgdsl.backend.graph import phase_graphs
from ktgdsl.program.from_plan import program_of
from tests import reference
from tests.reference import LABEL, Array, Batch, Edge, Gate, Labels, Loss, Result, Term

B, C = 6, 4
EPOCHS, STEPS = 10, 200  # the digits are 20 steps an epoch


class Logits(nn.Module):
    """A network whose logits are its parameter, whatever it is shown."""

    def __init__(self, z: Array) -> None:
        super().__init__()
        self.z = nn.Parameter(torch.tensor(z))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.z


def logits(*names: str, shape: tuple[int, ...] = (B, C), seed: int = 0) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    return {name: random.normal(scale=2.0, size=shape) for name in names}


Z = logits("a", "b", "c", "d", "t")
Y: Labels = np.array([int(Z["b"][n].argmax()) for n in (0, 1, 2)] + [0, 1, 2])
Y[3] = (Z["b"][3].argmax() + 1) % C  # b is right on the first three, wrong on the fourth


def spec(body: str, settings: str = "") -> str:
    """Nodes a to d learn from the labels unless an edge says otherwise; `t` is frozen."""
    return f"""
        graph test {{
            node a, b, c, d = resnet8 {{ keep = true }}
            node t = resnet8 {{ frozen = true  keep = true }}
            target a
            {body}
        }}
        train {{ epochs = {EPOCHS} {settings} }}
    """


def run(
    text: str, z: Mapping[str, Array] = Z, label: Labels = Y, progress: float = 1.0
) -> tuple[ktgdsl.Output, dict[str, Array]]:
    """The output for a batch, and the gradient of the sum of node losses in each node's logits."""
    networks: dict[str, nn.Module] = {name: Logits(value) for name, value in z.items()}
    graph = ktgdsl.build(ktgdsl.loads(text), networks=networks)
    out: ktgdsl.Output = graph(torch.zeros(len(label), 1, 8, 8), torch.tensor(label), progress)
    torch.autograd.backward(sum(out.losses.values(), torch.zeros(())))
    gradients = {}
    for name, network in networks.items():
        (parameter,) = network.parameters()
        if parameter.grad is not None:
            gradients[name] = parameter.grad.numpy()
    return out, gradients


def compare(out: ktgdsl.Output, gradients: Mapping[str, Array], want: Result) -> None:
    assert out.edges.keys() == want.edges.keys()
    assert out.losses.keys() == want.losses.keys() == gradients.keys()
    for key, loss in want.edges.items():
        assert out.edges[key].item() == pytest.approx(loss, rel=1e-9, abs=1e-9), key
    for name, loss in want.losses.items():
        assert out.losses[name].item() == pytest.approx(loss, rel=1e-9, abs=1e-9), name
        np.testing.assert_allclose(gradients[name], want.gradients[name], rtol=1e-9, atol=1e-9)


def agree(
    edges: list[Edge],
    z: Mapping[str, Array] = Z,
    label: Labels = Y,
    progress: float = 1.0,
    reduce: str = "mean",
    aggregate: str = "sum",
) -> Result:
    """Assert that the graph gives what the reference gives, and return that."""
    written = f"epochs = {EPOCHS} reduce = {reduce} aggregate = {aggregate}"
    out, gradients = run(reference.spec(list(z), edges, written), z, label, progress)
    want = reference.evaluate(edges, Batch(z, label, progress), reduce, aggregate)
    compare(out, gradients, want)
    return want


def edge(source: str, loss: Loss, gate: Gate = reference.THROUGH, to: str = "a") -> Edge:
    return Edge(source, to, (Term(((1.0, loss),), gate),))


# The equations, by hand


def log_p(z: Array, T: float = 1.0) -> Array:
    return np.asarray(z / T - np.log(np.exp(z / T).sum(axis=1, keepdims=True)))


def kl(s: Array, t: Array, T: float = 1.0) -> Array:
    """KL(p_s ‖ p_t) for each sample."""
    return np.asarray((np.exp(log_p(s, T)) * (log_p(s, T) - log_p(t, T))).sum(axis=1))


KL = kl(Z["b"], Z["a"])
RIGHT = Z["b"].argmax(axis=1) == Y


def edge_b_to_a(term: str, settings: str = "", progress: float = 1.0) -> float:
    out, _ = run(spec(f"edge label -> a edge b -> a : {term}", settings), progress=progress)
    return out.edges["b", "a"].item()


def test_eq_1_from_the_label_kl_is_cross_entropy() -> None:
    want = -log_p(Z["a"])[np.arange(B), Y].mean()
    for loss in ("", ": ce", ": kl", ": kl via through"):
        out, gradients = run(spec(f"edge label -> a {loss}"))
        assert out.edges == {("label", "a"): out.losses["a"]}
        assert out.losses["a"].item() == pytest.approx(want, rel=1e-12)
        slope = (np.exp(log_p(Z["a"])) - np.eye(C)[Y]) / B
        np.testing.assert_allclose(gradients["a"], slope, rtol=1e-12, atol=1e-15)


def test_eq_2_an_edge_is_kl_over_the_batch() -> None:
    assert edge_b_to_a("kl") == pytest.approx(KL.mean(), rel=1e-12)
    assert edge_b_to_a("kl", "reduce = sum") == pytest.approx(KL.sum(), rel=1e-12)


def test_eq_2_without_a_loss_is_kl_through() -> None:
    out, _ = run(spec("edge label -> a edge b -> a"))
    assert out.edges["b", "a"].item() == pytest.approx(KL.mean(), rel=1e-12)


def test_eq_3_a_node_adds_up_its_edges() -> None:
    out, gradients = run(spec("edge label -> a edge [b, c, t] -> a : kl"))
    want = -log_p(Z["a"])[np.arange(B), Y].mean() + sum(kl(Z[s], Z["a"]).mean() for s in "bct")
    assert out.losses["a"].item() == pytest.approx(want, rel=1e-12)
    assert out.losses.keys() == gradients.keys() == {"a"}


def test_eq_4_through_is_the_loss_itself() -> None:
    assert edge_b_to_a("kl via through") == edge_b_to_a("kl via 1") == edge_b_to_a("kl")


def test_eq_5_cutoff_is_no_edge() -> None:
    out, gradients = run(spec("edge label -> a edge b -> a : kl via cutoff"))
    assert list(out.edges) == [("label", "a")]
    slope = (np.exp(log_p(Z["a"])) - np.eye(C)[Y]) / B
    np.testing.assert_allclose(gradients["a"], slope, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("k", [1, 2, 77, 199, 200])
def test_eq_6_linear_is_k_over_k_end(k: int) -> None:
    got = edge_b_to_a("kl via linear", progress=k / STEPS)
    assert got == pytest.approx(k / STEPS * KL.mean(), rel=1e-12)
    down = edge_b_to_a("kl via linear(1, 0)", progress=k / STEPS)
    assert down == pytest.approx((1 - k / STEPS) * KL.mean(), rel=1e-12, abs=1e-15)


def test_eq_6_the_last_step_is_through_to_the_bit() -> None:
    assert edge_b_to_a("kl via linear", progress=STEPS / STEPS) == edge_b_to_a("kl")


def test_eq_6_k_end_is_the_number_of_steps() -> None:
    assert ktgdsl.loads(spec("edge label -> a")).steps == STEPS


def test_eq_7_correct_keeps_the_samples_the_source_gets_right() -> None:
    assert 0 < RIGHT.sum() < B
    out, gradients = run(spec("edge b -> a : kl via correct"))
    # The mean is over the whole batch, as in the authors' code.
    assert out.edges["b", "a"].item() == pytest.approx(KL[RIGHT].sum() / B, rel=1e-12)
    assert out.open["b", "a"].item() == pytest.approx(RIGHT.mean())
    slope = np.exp(log_p(Z["a"])) - np.exp(log_p(Z["b"]))
    slope[~RIGHT] = 0
    np.testing.assert_allclose(gradients["a"], slope / B, rtol=1e-12, atol=1e-15)


def test_eq_7_an_unlabeled_sample_is_not_right() -> None:
    label = Y.copy()
    label[0] = -1
    out, _ = run(spec("edge b -> a : kl via correct"), label=label)
    open_ = RIGHT & (label >= 0)
    assert out.edges["b", "a"].item() == pytest.approx(KL[open_].sum() / B, rel=1e-12)


# Temperature


@pytest.mark.parametrize("T", [0.5, 2.0, 4.0])
def test_the_temperature_scales_the_loss_by_its_square(T: float) -> None:
    plain = kl(Z["b"], Z["a"], T).mean()
    assert edge_b_to_a(f"kl(T={T})") == pytest.approx(T**2 * plain, rel=1e-12)
    assert edge_b_to_a(f"kl(T={T}, scale=1)") == pytest.approx(plain, rel=1e-12)
    assert edge_b_to_a(f"kl(T={T}, scale=0.5)") == pytest.approx(plain / 2, rel=1e-12)


def test_the_label_is_one_hot_at_every_temperature() -> None:
    want = 16 * -log_p(Z["a"], 4.0)[np.arange(B), Y].mean()
    out, _ = run(spec("edge label -> a : kl(T=4)"))
    assert out.losses["a"].item() == pytest.approx(want, rel=1e-12)


# Reduction


def test_active_divides_by_the_samples_a_predicate_opens() -> None:
    assert edge_b_to_a("kl via correct", "reduce = active") == pytest.approx(
        KL[RIGHT].mean(), rel=1e-12
    )
    # Factors that are the same for all samples do not change how many are open.
    assert edge_b_to_a("kl via 0.5 * linear * correct", "reduce = active", 0.25) == pytest.approx(
        0.125 * KL[RIGHT].mean(), rel=1e-12
    )
    # A gate without a predicate is over the batch.
    assert edge_b_to_a("kl via until(50%)", "reduce = active", 0.75) == 0
    assert edge_b_to_a("kl via linear", "reduce = active", 0.25) == pytest.approx(
        0.25 * KL.mean(), rel=1e-12
    )


def test_active_sees_each_term_by_itself() -> None:
    got = edge_b_to_a("kl via correct, kl via 1 - correct, 2 * kl", "reduce = active")
    assert got == pytest.approx(KL[RIGHT].mean() + KL[~RIGHT].mean() + 2 * KL.mean(), rel=1e-12)


def test_a_sum_is_active_where_it_is_not_zero() -> None:
    gate = "correct * until(50%) + (1 - correct) * after(50%)"
    for progress, selected in [(0.5, RIGHT), (0.75, ~RIGHT)]:
        got = edge_b_to_a(f"kl via {gate}", "reduce = active", progress)
        assert got == pytest.approx(KL[selected].mean(), rel=1e-12)


@pytest.mark.parametrize("reduce", ["mean", "active", "sum"])
def test_nothing_open_is_zero_with_a_zero_gradient(reduce: str) -> None:
    wrong = (Z["b"].argmax(axis=1) + 1) % C
    out, gradients = run(spec("edge b -> a : kl via correct", f"reduce = {reduce}"), label=wrong)
    assert out.losses["a"].item() == 0
    assert not gradients["a"].any()
    assert out.open["b", "a"].item() == 0


def test_label_edges_divide_by_the_labeled_samples() -> None:
    label = Y.copy()
    label[[0, 4]] = -1
    labeled = label >= 0
    want = -log_p(Z["a"])[labeled, label[labeled]]
    for reduce, value in [("mean", want.mean()), ("active", want.mean()), ("sum", want.sum())]:
        out, gradients = run(spec("edge label -> a", f"reduce = {reduce}"), label=label)
        assert out.losses["a"].item() == pytest.approx(value, rel=1e-12)
        assert not gradients["a"][~labeled].any()
    # Peers teach on the unlabeled samples too.
    out, _ = run(spec("edge label -> a edge b -> a : kl"), label=label)
    assert out.edges["b", "a"].item() == pytest.approx(KL.mean(), rel=1e-12)


@pytest.mark.parametrize("reduce", ["mean", "active", "sum"])
@pytest.mark.parametrize("loss", ["ce", "ce(smoothing=0.1)", "kl(T=2)", "mse(on=probabilities)"])
def test_a_batch_without_labels_teaches_nothing(reduce: str, loss: str) -> None:
    nothing = np.full(B, -1)
    out, gradients = run(spec(f"edge label -> a : {loss}", f"reduce = {reduce}"), label=nothing)
    assert out.losses["a"].item() == 0
    assert not gradients["a"].any()


# Aggregation


def test_mean_divides_by_the_live_sources_other_than_the_label() -> None:
    body = """
        edge label -> *
        edge [b, c, t] -> a : kl, 0.5 * mse    # two terms, one source
        edge d -> a : kl via cutoff            # no source
        edge a -> b : kl
    """
    each, _ = run(spec(body, "aggregate = sum"))
    mean, _ = run(spec(body, "aggregate = mean"))
    for source in "bct":
        got = mean.edges[source, "a"].item()
        assert got == pytest.approx(each.edges[source, "a"].item() / 3, rel=1e-12)
    assert mean.edges["label", "a"] == each.edges["label", "a"]
    assert mean.edges["a", "b"] == each.edges["a", "b"]
    assert ("d", "a") not in mean.edges


def test_mean_is_the_dml_papers_divisor() -> None:
    out, _ = run(spec("edge label -> * edge * -> * : kl", "aggregate = mean"))
    # Four that learn and a frozen one: each of the four has K - 1 = 4 sources.
    for name in "abcd":
        peers = [kl(Z[s], Z[name]).mean() for s in "abcdt" if s != name]
        ce = -log_p(Z[name])[np.arange(B), Y].mean()
        assert out.losses[name].item() == pytest.approx(ce + sum(peers) / 4, rel=1e-12)
    assert "t" not in out.losses


@pytest.mark.parametrize("reduce", ["mean", "active", "sum"])
@pytest.mark.parametrize("aggregate", ["sum", "mean"])
def test_a_nodes_loss_is_exactly_the_sum_of_its_edges(reduce: str, aggregate: str) -> None:
    body = "edge label -> * : ce via 0.3 edge * -> * : kl(T=3) via 0.7 * correct, js via linear"
    chosen = f"reduce = {reduce} aggregate = {aggregate}"
    out, _ = run(spec(body, chosen), progress=0.37)
    for name, loss in out.losses.items():
        into = [out.edges[key].item() for key in out.edges if key[1] == name]
        assert len(into) == 5
        assert loss.item() == sum(into)


# Laws of gates


@pytest.mark.parametrize("reduce", ["mean", "active", "sum"])
@pytest.mark.parametrize("label", [Y, np.where(np.arange(B) % 2, Y, -1), np.full(B, -1)])
@pytest.mark.parametrize("gate", ["correct", "correct * correct", "0.5 * (correct + through)"])
def test_from_the_label_correct_is_through(reduce: str, label: Labels, gate: str) -> None:
    body = "edge label -> * edge * -> * : kl via correct edge label -> a : ce(smoothing=0.1) via "
    gated, gated_gradients = run(spec(body + gate, f"reduce = {reduce}"), label=label)
    plain, plain_gradients = run(spec(body + "through", f"reduce = {reduce}"), label=label)
    assert {k: v.item() for k, v in gated.edges.items()} == {
        k: v.item() for k, v in plain.edges.items()
    }
    assert gated_gradients.keys() == plain_gradients.keys() == set("abcd")
    for name, gradient in plain_gradients.items():
        np.testing.assert_array_equal(gated_gradients[name], gradient)


FOLDED = [
    ("through * correct", "correct"),
    ("correct * through * 1", "correct"),
    ("cutoff + correct", "correct"),
    ("correct - cutoff", "correct"),
    ("correct - 0 * linear", "correct"),
    ("1 * linear", "linear"),
    ("2 * (0.25 + 0.25)", "through"),
    ("through - 0.5", "0.5"),
    ("-(-0.25) * 2", "0.5"),
    ("linear / 2", "0.5 * linear"),
    ("linear / (1 + through)", "0.5 * linear"),
    ("0.5 * correct * 0.5 * linear", "0.25 * (correct * linear)"),
    ("(1 + correct) + 1", "2 + correct"),
]
EQUAL = [
    ("correct * linear", "linear * correct"),
    ("correct * correct", "correct"),
    ("1 - (1 - correct)", "correct"),
    ("correct + (1 - correct)", "through"),
    ("0.5 * (correct + linear)", "0.5 * correct + linear / 2"),
    ("correct * (1 - correct) + 0.5", "0.5"),
    ("linear(1, 0)", "1 - linear"),
    ("until(30%)", "1 - after(30%)"),
    ("cosine(0.25, 0.25)", "0.25"),
    ("linear(0.5, 2)", "0.5 + 1.5 * linear"),
]


@pytest.mark.parametrize(("left", "right"), FOLDED)
def test_constants_fold_away(left: str, right: str) -> None:
    plans = [ktgdsl.loads(spec(f"edge b -> a : kl via {gate}")) for gate in (left, right)]
    assert plans[0].digest == plans[1].digest


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize(("left", "right"), [*FOLDED, *EQUAL])
def test_gates_obey_the_laws_of_numbers(left: str, right: str, reduce: str) -> None:
    outcomes = [
        run(spec(f"edge b -> a : kl via {gate}", f"reduce = {reduce}"), progress=0.25)
        for gate in (left, right)
    ]
    (one, slope), (other, other_slope) = outcomes
    assert one.losses["a"].item() == pytest.approx(other.losses["a"].item(), rel=1e-12)
    np.testing.assert_allclose(slope["a"], other_slope["a"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("zero", ["cutoff", "0", "0 * correct", "correct * cutoff * linear"])
def test_what_folds_to_zero_is_no_edge(zero: str) -> None:
    out, _ = run(spec(f"edge label -> a edge b -> a : kl via {zero}, mse via 2 * ({zero})"))
    assert list(out.edges) == [("label", "a")]


@pytest.mark.parametrize("gate", ["correct - linear", "-1", "0.5 - correct", "cutoff - linear"])
def test_a_gate_that_could_be_negative_is_an_error(gate: str) -> None:
    with pytest.raises(ktgdsl.SpecError) as caught:
        ktgdsl.loads(spec(f"edge label -> a edge b -> a : kl via {gate}"))
    assert [d.code for d in caught.value.diagnostics] == ["E304"]


# Schedules at their boundary steps. k_end = 200 steps, 20 of them an epoch.


@pytest.mark.parametrize(
    ("moment", "last"),
    [
        ("0%", 0), ("0.5%", 1), ("30%", 60), ("33.5%", 67), ("60%", 120), ("99.5%", 199),
        ("100%", 200), ("0", 0), ("1", 20), ("3", 60), ("0.35", 7), ("7", 140), ("10", 200),
        ("12", 200),
    ],
)  # fmt: skip
def test_until_and_after_split_the_training_at_a_step(moment: str, last: int) -> None:
    plan = ktgdsl.loads(spec(f"edge b -> a : kl via until({moment}), mse via after({moment})"))
    networks: dict[str, nn.Module] = {name: Logits(z) for name, z in Z.items()}
    graph = ktgdsl.build(plan, networks=networks)
    image, label = torch.zeros(B, 1, 8, 8), torch.tensor(Y)
    mse = ((Z["a"] - Z["b"]) ** 2).mean()
    for k in {1, last - 1, last, last + 1, STEPS} & set(range(1, STEPS + 1)):
        want = KL.mean() if k <= last else mse
        assert graph(image, label, k / STEPS).losses["a"].item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("percent", ["33.3", "12.7", "1.1", "7.7", "57.9"])
def test_a_percentage_is_what_it_says_in_exact_arithmetic(percent: str) -> None:
    text = spec(f"edge b -> a : kl via until({percent}%)") + "data digits { batch = 259 }"
    plan = ktgdsl.loads(text, ["train.epochs=200"])
    assert plan.steps == 1000
    networks: dict[str, nn.Module] = {name: Logits(z) for name, z in Z.items()}
    graph = ktgdsl.build(plan, networks=networks)
    image, label = torch.zeros(B, 1, 8, 8), torch.tensor(Y)
    last = int(percent.replace(".", ""))
    assert graph(image, label, last / 1000).losses["a"].item() > 0
    assert graph(image, label, (last + 1) / 1000).losses["a"].item() == 0


@pytest.mark.parametrize(("length", "steps"), [("50%", 100), ("5", 100), ("20", 400)])
@pytest.mark.parametrize("k", [1, 50, 99, 100, 101, 200])
def test_rampup_is_a_gaussian_and_then_one(length: str, steps: int, k: int) -> None:
    got = edge_b_to_a(f"kl via rampup({length})", progress=k / STEPS)
    want = math.exp(-5 * (1 - k / steps) ** 2) if k < steps else 1.0
    assert got == pytest.approx(want * KL.mean(), rel=1e-12)


@pytest.mark.parametrize("k", [1, 50, 100, 200])
def test_cosine_is_half_a_wave(k: int) -> None:
    got = edge_b_to_a("kl via cosine(0.25, 2)", progress=k / STEPS)
    want = 0.25 + 1.75 * (1 - math.cos(math.pi * k / STEPS)) / 2
    assert got == pytest.approx(want * KL.mean(), rel=1e-12)


# Terms and combinations


def test_an_edge_adds_up_its_terms_each_behind_its_gate() -> None:
    got = edge_b_to_a("kl via 0.5 * correct, mse via linear, 0.25 * kl", progress=0.5)
    mse = ((Z["a"] - Z["b"]) ** 2).mean()
    want = 0.5 * KL[RIGHT].sum() / B + 0.5 * mse + 0.25 * KL.mean()
    assert got == pytest.approx(want, rel=1e-12)


def test_a_term_behind_a_cutoff_vanishes_from_its_edge() -> None:
    assert edge_b_to_a("kl, mse via cutoff, js via 0 * correct") == edge_b_to_a("kl")


def test_losses_combine_linearly_with_either_sign() -> None:
    mse = ((Z["a"] - Z["b"]) ** 2).mean()
    assert edge_b_to_a("0.5 * kl - 0.25 * mse") == pytest.approx(KL.mean() / 2 - mse / 4, rel=1e-12)
    assert edge_b_to_a("-(kl - 2 * mse) / 4") == pytest.approx((2 * mse - KL.mean()) / 4, rel=1e-12)
    assert edge_b_to_a("kl + 2 * kl") == pytest.approx(3 * KL.mean(), rel=1e-12)


# Everything against the reference


NODE_LOSSES = [
    reference.kl(),
    reference.kl(4.0),
    reference.kl(2.0, 1.0),
    reference.reverse_kl(),
    reference.reverse_kl(3.0),
    reference.reverse_kl(0.5, 2.0),
    reference.js(),
    reference.js(2.0),
    reference.js(4.0, 1.0),
    reference.mse(),
    reference.mse_probabilities(),
    reference.cosine_distance(),
]
LABEL_LOSSES = [
    reference.ce(),
    reference.ce(0.1),
    reference.kl_label(),
    reference.kl_label(4.0),
    reference.kl_label(2.0, 1.0),
    reference.mse_label(),
]
IDS = [f"{LABEL}:{loss.text}" for loss in LABEL_LOSSES] + [loss.text for loss in NODE_LOSSES]
SOURCES = [(LABEL, loss) for loss in LABEL_LOSSES] + [("b", loss) for loss in NODE_LOSSES]


@pytest.mark.parametrize(("source", "loss"), SOURCES, ids=IDS)
@pytest.mark.parametrize("shape", [(B, C), (B, C, 3), (B, C, 2, 3)])
@pytest.mark.parametrize("reduce", ["mean", "active", "sum"])
def test_every_loss_for_samples_and_for_pixels(
    source: str, loss: Loss, shape: tuple[int, ...], reduce: str
) -> None:
    z = logits("a", "b", shape=shape, seed=1)
    label = np.random.default_rng(5).integers(-1, C, size=(B, *shape[2:]))
    assert (z["b"].argmax(axis=1) == label).any()
    gates = [reference.THROUGH, reference.product([reference.number(0.5), reference.CORRECT])]
    for gate in gates:
        want = agree([edge(source, loss, gate)], z, label, 0.5, reduce)
        assert want.losses["a"] > 0
        # The reference's gradient is the slope of its own loss.
        step = np.random.default_rng(3).normal(size=shape)
        ends = [
            reference.evaluate(
                [edge(source, loss, gate)],
                Batch({**z, "a": z["a"] + h * step}, label, 0.5),
                reduce,
            ).losses["a"]
            for h in (-1e-6, 1e-6)
        ]
        slope = (ends[1] - ends[0]) / 2e-6
        assert slope == pytest.approx((want.gradients["a"] * step).sum(), rel=1e-5, abs=1e-7)


factors = st.sampled_from([0.0, 0.1, 0.25, 0.3, 1.0, 1.7, 2.0])
percents = st.sampled_from([0.0, 12.5, 25.0, 50.0, 75.0, 100.0])
ramps = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])
shared = st.one_of(
    st.just(reference.THROUGH),
    st.just(reference.CUTOFF),
    st.just(reference.LINEAR),
    factors.map(reference.number),
    st.builds(reference.linear, ramps, ramps),
    percents.map(reference.until),
    percents.map(reference.after),
)
smooth = st.one_of(
    st.builds(reference.cosine, ramps, ramps),
    st.sampled_from([10.0, 50.0, 100.0]).map(reference.rampup),
    st.floats(0.0, 3.0).map(lambda x: reference.number(round(x, 3))),
)
fractions = st.sampled_from(
    [reference.CORRECT, reference.LINEAR, reference.until(50.0), reference.after(25.0)]
)


def combined(children: st.SearchStrategy[Gate]) -> st.SearchStrategy[Gate]:
    several = st.lists(children, min_size=2, max_size=3)
    return st.one_of(several.map(reference.product), several.map(reference.total))


sampled = st.recursive(
    st.one_of(
        shared,
        st.just(reference.CORRECT),
        fractions.map(reference.one_minus),
        st.lists(fractions, min_size=2, max_size=2).map(
            lambda two: reference.one_minus(reference.product(two))
        ),
    ),
    combined,
    max_leaves=4,
)
scheduled = st.recursive(st.one_of(shared, smooth), combined, max_leaves=4)
gates = st.one_of(sampled, scheduled)
coefficients = st.sampled_from([1.0, 0.5, 0.3, 2.0, 0.1])


def terms(losses: list[Loss]) -> st.SearchStrategy[tuple[Term, ...]]:
    part = st.tuples(coefficients, st.sampled_from(losses))
    term = st.builds(Term, st.lists(part, min_size=1, max_size=3).map(tuple), gates)
    return st.lists(term, min_size=1, max_size=2).map(tuple)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[Edge]]:
    nodes = list("abcde"[: draw(st.integers(2, 5))])
    edges = [edge(LABEL, draw(st.sampled_from(LABEL_LOSSES)))]  # the target learns
    edges += [
        Edge(LABEL, node, draw(terms(LABEL_LOSSES))) for node in nodes[1:] if draw(st.booleans())
    ]
    pairs = [(s, t) for s in nodes for t in nodes if s != t]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=6))
    return nodes, edges + [Edge(s, t, draw(terms(NODE_LOSSES))) for s, t in chosen]


@given(
    graph=graphs(),
    reduce=st.sampled_from(["mean", "active", "sum"]),
    aggregate=st.sampled_from(["sum", "mean"]),
    sixteenths=st.integers(1, 16),
    shape=st.sampled_from([(1, 2), (4, 3), (5, 4), (2, 3, 2), (2, 3, 2, 2)]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None, database=None, derandomize=True)
def test_random_graphs_agree_with_the_reference(
    graph: tuple[list[str], list[Edge]],
    reduce: str,
    aggregate: str,
    sixteenths: int,
    shape: tuple[int, ...],
    seed: int,
) -> None:
    nodes, edges = graph
    z = logits(*nodes, shape=shape, seed=seed)
    label = np.random.default_rng(seed).integers(-1, shape[1], size=(shape[0], *shape[2:]))
    agree(edges, z, label, sixteenths / 16, reduce, aggregate)


@given(
    graph=graphs(),
    reduce=st.sampled_from(["mean", "active", "sum"]),
    aggregate=st.sampled_from(["sum", "mean"]),
    sixteenths=st.integers(1, 16),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=20, deadline=None, database=None, derandomize=True)
def test_the_turns_of_random_graphs_agree_with_the_reference(
    graph: tuple[list[str], list[Edge]], reduce: str, aggregate: str, sixteenths: int, seed: int
) -> None:
    nodes, edges = graph
    z = logits(*nodes, shape=(4, 3), seed=seed)
    label = np.random.default_rng(seed).integers(-1, 3, size=4)
    want = reference.evaluate(edges, Batch(z, label, sixteenths / 16), reduce, aggregate)
    written = f"epochs = {EPOCHS} reduce = {reduce} aggregate = {aggregate} update = sequential"
    networks: dict[str, nn.Module] = {name: Logits(value) for name, value in z.items()}
    plan = ktgdsl.loads(reference.spec(nodes, edges, written))
    made = phase_graphs(plan, program_of(plan).phases[0], networks, {})
    learns = [name for name in nodes if name in want.losses]
    for name, turn in zip(learns, made, strict=True):
        out = turn(torch.zeros(4, 1, 8, 8), torch.tensor(label), sixteenths / 16)
        torch.autograd.backward(list(out.losses.values()))
        gradients = {}
        for other, network in networks.items():
            (parameter,) = network.parameters()
            if parameter.grad is not None:
                gradients[other] = parameter.grad.numpy().copy()
            parameter.grad = None
        edges_in = {key: loss for key, loss in want.edges.items() if key[1] == name}
        own = Result(
            losses={name: want.losses[name]},
            edges=edges_in,
            gradients={name: want.gradients[name]},
        )
        compare(out, gradients, own)
