"""The canonical digest: equal for the same graph under other names, and only then."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ktgdsl

TAIL = "train { epochs = 3 }"


def spec(*body: str, tail: str = TAIL) -> ktgdsl.Plan:
    return ktgdsl.loads(f"graph g {{ {' '.join(body)} }} {tail}")


def cohort(target: str, one: str, other: str, tail: str = TAIL) -> ktgdsl.Plan:
    return spec(
        f"node {target}, {one} = resnet8 node {other} = resnet14 target {target}",
        f"edge label -> * edge {one} -> {target} : kl via correct",
        f"edge {other} -> {target}, {one} : kl(T=2) via linear",
        tail=tail,
    )


def test_names_of_auxiliary_nodes_do_not_matter() -> None:
    one, other = cohort("t", "a", "b"), cohort("t", "z", "y")
    assert one.digest != other.digest
    assert one.canonical_digest == other.canonical_digest


def test_the_order_of_statements_does_not_matter() -> None:
    nodes = "node t = resnet8 node a = resnet14 target t edge label -> *"
    one = spec(nodes, "edge a -> t : kl via correct", "edge t -> a")
    other = spec(
        "node a = resnet14 node t = resnet8 target t edge t -> a",
        "edge a -> t : kl via correct edge label -> *",
    )
    assert one.digest != other.digest
    assert one.canonical_digest == other.canonical_digest


@pytest.mark.parametrize(
    "other",
    [
        cohort("u", "a", "b"),  # the target has another name
        cohort("t", "a", "b", tail="train { epochs = 4 }"),
        spec(
            "node t, a = resnet8 node b = resnet14 target t edge label -> *",
            "edge b -> t : kl via correct edge a -> t, b : kl(T=2) via linear",
        ),
    ],
)
def test_other_graphs_have_other_canonical_digests(other: ktgdsl.Plan) -> None:
    assert cohort("t", "a", "b").canonical_digest != other.canonical_digest


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["resnet8", "resnet14", "wrn10_1"]), min_size=2, max_size=4),
    st.lists(
        st.tuples(
            st.integers(0, 4), st.integers(0, 4), st.sampled_from(["correct", "linear", "0.5"])
        ),
        max_size=8,
    ),
    st.permutations(["p", "q", "r", "s"]),
)
def test_renaming_auxiliary_nodes_keeps_the_canonical_digest(
    networks: list[str], arrows: list[tuple[int, int, str]], names: list[str]
) -> None:
    def written(called: list[str]) -> ktgdsl.Plan:
        body = [
            f"node {name} = {net} {{ keep = true }}"
            for name, net in zip(called, networks, strict=False)
        ]
        size = len(body)
        body += [
            f"edge {called[s % size]} -> {called[d % size]} : kl via {gate}"
            for s, d, gate in arrows
        ]
        views = "data digits { augment = paper views = 2 }"
        return spec(*body, f"target {called[0]} edge label -> {called[0]}", tail=views)

    one = written(["t", "a", "b", "c"])
    other = written(["t", *(name for name in names)])
    assert one.canonical_digest == other.canonical_digest


def everything(called: str, *, order: str = "bcdf", tail: str = TAIL) -> ktgdsl.Plan:
    """A plan with every way to mention a node; `called` are the names of b, c, d, f, m, e.

    `order` is that in which the networks are declared.
    """
    networks = {"b": "resnet8", "c": "resnet8", "d": "resnet14", "f": "wrn10_1"}
    name = dict(zip("bcdfme", called, strict=True))
    nodes = [f"node {name[each]} = {networks[each]}" for each in order]
    b, c, d, f, m, e = list(called)
    return spec(
        "node t = resnet8",
        *nodes,
        f"node {m} = ensemble(t, {b}, {d}, combine=gated(by={c}.stage1), detach=false)",
        f"node {e} = ema({d}, decay=0.9) target t",
        f"edge label -> t, {b}, {c}, {d}, {m} edge {m}, {e}, {f} -> t : js",
        f"edge {c}.stage2 -> {b}.stage1 : attention edge {b} : entropy",
        f"share {b}, {c} {{ layers = [stem, stage1] }}",
        f"edge {d} -> {c} : kl(T=2) via during(two)",
        tail=f"phase one {{ learn = [{d}] }} "
        f"phase two {{ learn = [t, {m}, {c}, {b}, {d}] }} {tail}",
    )


@settings(max_examples=40, deadline=None)
@given(st.permutations("bcdfme"), st.sampled_from(["simultaneous", "sequential"]))
def test_a_node_is_renamed_wherever_it_is_mentioned(called: list[str], update: str) -> None:
    tail = f"train {{ update = {update} }}"
    one, other = everything("bcdfme", tail=tail), everything("".join(called), tail=tail)
    assert one.canonical_digest == other.canonical_digest
    assert (one.digest == other.digest) == (called == list("bcdfme"))


@pytest.mark.parametrize(("update", "equal"), [("simultaneous", True), ("sequential", False)])
def test_the_order_of_nodes_counts_only_under_sequential_updates(update: str, equal: bool) -> None:
    tail = f"train {{ update = {update} }}"
    one, other = everything("bcdfme", tail=tail), everything("bcdfme", order="dcbf", tail=tail)
    assert (one.canonical_digest == other.canonical_digest) == equal


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ensemble(t, b", "ensemble(t, c"),
        ("by=c.", "by=b."),
        ("by=c.stage1", "by=c.stage2"),
        ("ema(d", "ema(b"),
        ("share b, c", "share c, b"),
        ("learn = [d]", "learn = [b, c]"),
        ("c.stage2 -> b.stage1", "b.stage2 -> c.stage1"),
        ("edge b : entropy", "edge c : entropy"),
        ("layers = [stem, stage1]", "layers = [stem]"),
        ("grad = sum", "grad = mean"),
        ("take = last", "take = best"),
        ("via during(two)", "via during(one)"),
    ],
)
def test_mentioning_another_node_is_another_graph(old: str, new: str) -> None:
    text = """
        graph g {
            node t, b, c = resnet8
            node d       = resnet14
            node m       = ensemble(t, b, d, combine=gated(by=c.stage1), detach=false)
            node e       = ema(d, decay=0.9)
            target t
            edge label    -> t, b, c, d, m
            edge m, e     -> t : js
            edge c.stage2 -> b.stage1 : attention
            edge b : entropy
            share b, c { layers = [stem, stage1] grad = sum }
            edge d -> c via during(two)
        }
        data digits { holdout = true }
        phase one { learn = [d] take = last }
        phase two { learn = [t, m, b, c, d] }
    """
    one = ktgdsl.loads(text)
    assert text.count(old) == 1
    other = ktgdsl.loads(text.replace(old, new))
    assert one.digest != other.digest
    assert one.canonical_digest != other.canonical_digest


def test_everything_goes_to_json_and_back() -> None:
    plan = everything("bcdfme")
    again = ktgdsl.Plan.from_json(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest
    content = plan.model_dump()
    assert ktgdsl.Plan.model_validate(content, strict=True).model_dump() == content


def test_a_space_goes_to_json_and_back() -> None:
    plan = ktgdsl.loads(
        "let T = log(1 .. 8) graph g { node a = resnet8 node b[1 .. 3] = resnet8 | wrn10_1 "
        "target a edge label -> * edge b.(stage1 | stage2) -> a.stage1 : hint "
        "edge b -> a : kl(T=T) via linear | 0.5 .. 0.75 } "
        "search { sampler = tpe(seed=3) pruner = asha objective = accuracy(a) confirm = 2 }"
    )
    again = ktgdsl.Plan.from_json(plan.to_json())
    assert again == plan
    assert again.space == plan.space
    assert (again.digest, again.canonical_digest) == (plan.digest, plan.canonical_digest)
    content = plan.model_dump()
    assert ktgdsl.Plan.model_validate(content, strict=True).model_dump() == content
