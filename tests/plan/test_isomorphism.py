"""The canonical order: the same graph under any names, and only then."""

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ktgdsl.plan.isomorphism import Arc, canonical_order

Drawn = tuple[dict[str, str], list[Arc]]


@st.composite
def graphs(draw: st.DrawFn) -> Drawn:
    size = draw(st.integers(1, 5))
    names = [f"n{i}" for i in range(size)]
    nodes = {name: draw(st.sampled_from("xy")) for name in names}
    pairs = draw(st.lists(st.sampled_from([*itertools.product(names, names)]), max_size=12))
    arcs = [Arc(s, d, draw(st.sampled_from("kl"))) for s, d in pairs]
    return nodes, arcs


def shape(graph: Drawn, order: list[str]) -> object:
    nodes, arcs = graph
    at = {name: i for i, name in enumerate(order)}
    return [nodes[n] for n in order], sorted(
        (at[a.source], at[a.destination], a.label) for a in arcs
    )


def renamed(graph: Drawn, seed: int) -> Drawn:
    nodes, arcs = graph
    names = list(nodes)
    random.Random(seed).shuffle(names)
    to = {name: f"m{i}" for i, name in enumerate(names)}
    moved = [Arc(to[a.source], to[a.destination], a.label) for a in arcs]
    random.Random(seed + 1).shuffle(moved)
    return {to[name]: nodes[name] for name in names}, moved


def isomorphic(one: Drawn, other: Drawn) -> bool:
    """By brute force over all renamings."""
    if len(one[0]) != len(other[0]):
        return False
    target = shape(other, list(other[0]))
    return any(shape(one, list(order)) == target for order in itertools.permutations(one[0]))


@settings(max_examples=300, deadline=None)
@given(graphs(), st.integers(0, 1000))
def test_renaming_changes_nothing(graph: Drawn, seed: int) -> None:
    other = renamed(graph, seed)
    assert shape(graph, canonical_order(*graph)) == shape(other, canonical_order(*other))


@settings(max_examples=300, deadline=None)
@given(graphs(), graphs())
def test_equal_shapes_are_isomorphic_graphs_and_no_others(one: Drawn, other: Drawn) -> None:
    same = shape(one, canonical_order(*one)) == shape(other, canonical_order(*other))
    assert same == isomorphic(one, other)


def test_cycles_that_refinement_cannot_tell_apart() -> None:
    def cycles(*lengths: int) -> Drawn:
        names = [f"n{i}" for i in range(sum(lengths))]
        arcs, start = [], 0
        for length in lengths:
            ring = names[start : start + length]
            arcs += [Arc(a, b, "kl") for a, b in zip(ring, ring[1:] + ring[:1], strict=True)]
            start += length
        return dict.fromkeys(names, "x"), arcs

    two, one = cycles(3, 3), cycles(6)
    assert shape(two, canonical_order(*two)) != shape(one, canonical_order(*one))
    for seed in range(10):
        other = renamed(two, seed)
        assert shape(two, canonical_order(*two)) == shape(other, canonical_order(*other))


def test_a_cohort_of_equals_needs_no_search() -> None:
    """64 nodes that all teach each other have 64! orders, and any of them will do."""
    names = [f"n{i}" for i in range(64)]
    arcs = [Arc(a, b, "kl") for a in names for b in names if a != b]
    assert sorted(canonical_order(dict.fromkeys(names, "x"), arcs)) == sorted(names)
