"""Counting a space: against brute force, and against closed forms and known numbers."""

import itertools
import math
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ktgdsl.space.choice_tables import Choices, EdgeChoices, NodeChoices
from ktgdsl.space.counting import Counts, count

GATE: Mapping[str | None, int] = {None: 1, "through": 1, "linear": 1, "correct": 1}
LABEL_GATE: Mapping[str | None, int] = {None: 1, "through": 2, "linear": 1}
OPEN: Mapping[str | None, int] = {None: 1, "through": 1}
FIXED: Mapping[str | None, int] = {"through": 1}

Reduced = tuple[dict[str, str], dict[tuple[str, str], tuple[str, ...]]]


def points(space: Choices) -> Iterator[tuple[Reduced | None, int]]:
    """What is left of each point, None of an invalid one, and how many raw points it is."""
    nodes = [[(node.name, *kind) for kind in node.kinds.items()] for node in space.nodes]
    edges = [
        [(edge.source, edge.destination, *kind) for kind in edge.kinds.items()]
        for edge in space.edges
    ]
    roots = {node.name for node in space.nodes if node.target or node.kept}
    for kinds in itertools.product(*nodes):
        for pairs in itertools.product(*edges):
            weight = math.prod(n for *_, n in kinds) * math.prod(n for *_, n in pairs)
            live: dict[tuple[str, str], tuple[str, ...]] = {}
            for source, destination, text, _ in pairs:
                if text is not None:
                    ends = source, destination
                    live[ends] = tuple(sorted((*live.get(ends, ()), text)))
            if not set(space.targets) <= {destination for _, destination in live}:
                yield None, weight
                continue
            stay = set(roots)
            while more := {s for s, d in live if d in stay and s != "label"} - stay:
                stay |= more
            yield (
                (
                    {name: kind for name, kind, _ in kinds if name in stay},
                    {ends: texts for ends, texts in live.items() if ends[1] in stay},
                ),
                weight,
            )


def least(space: Choices, reduced: Reduced) -> object:
    """The same for points that are the same graph: the least of all renamings."""
    nodes, edges = reduced
    kept = {node.name: node.kept for node in space.nodes}
    free = sorted(name for name in nodes if name not in space.targets)
    places = [f"node {i}" for i in range(len(free))]
    shapes = []
    for order in itertools.permutations(places):
        to = {**dict(zip(free, order, strict=True)), "label": "label"}
        shapes.append(
            (
                sorted((to.get(name, name), kept[name], kind) for name, kind in nodes.items()),
                sorted((to.get(s, s), to.get(d, d), text) for (s, d), text in edges.items()),
            )
        )
    return str(min(shapes))


def brute_force(*spaces: Choices) -> Counts:
    raw = invalid = 0
    found = set()
    for space in spaces:
        for reduced, weight in points(space):
            raw += weight
            if reduced is None:
                invalid += weight
            else:
                found.add(least(space, reduced))
    return Counts(raw, invalid, len(found), len(found))


def size(space: Choices) -> int:
    """How many points brute force looks at."""
    return math.prod(len(numbers) for numbers in space.numbers)


CLOSED: Mapping[str | None, int] = {None: 1}
DOMAINS: list[Mapping[str | None, int]] = [
    *([CLOSED] * 5),
    *([OPEN] * 3),
    FIXED,
    {None: 2, "through": 3},
    {None: 1, "linear": 1},
    {"through": 1, "linear": 2},
    {None: 1, "through": 1, "linear": 1},
]
KINDS: list[Mapping[str, int]] = [{"A": 1}, {"A": 1}, {"A": 2, "B": 1}, {"B": 1, "C": 1}]


@st.composite
def spaces(draw: st.DrawFn, targets: int | None = None) -> Choices:
    """Domains drawn for each node and pair, or for each sort of them, with some exceptions."""
    targets = draw(st.integers(1, 2)) if targets is None else targets
    main = [f"t{i}" for i in range(targets)]
    others = [f"a{i}" for i in range(draw(st.integers(0, 3)))]
    kind, domain = st.sampled_from(KINDS), st.sampled_from(DOMAINS)
    sorts = {(one, other): draw(domain) for one in "lta" for other in "ta"}
    usual = draw(kind)
    irregular = draw(st.floats(0, 0.6))
    odd = st.floats(0, 1).map(lambda number: number < irregular)
    pairs = [(s, d) for s in ("label", *main, *others) for d in (*main, *others) if s != d]
    keep = draw(st.booleans())
    return Choices(
        tuple(
            NodeChoices(
                name,
                draw(kind) if draw(odd) else usual,
                target=name in main,
                kept=name in others and keep and draw(st.booleans()),
            )
            for name in (*main, *others)
        ),
        tuple(
            EdgeChoices(s, d, draw(domain) if draw(odd) else sorts[s[0], d[0]]) for s, d in pairs
        ),
    )


@settings(max_examples=100, deadline=None)
@given(spaces())
def test_counts_are_those_of_brute_force(space: Choices) -> None:
    assume(size(space) <= 1500)
    assert count(space) == brute_force(space)


@settings(max_examples=100, deadline=None)
@given(spaces(targets=1), spaces(targets=1))
def test_graphs_of_two_spaces_count_once(one: Choices, other: Choices) -> None:
    assume(size(one) <= 500 and size(other) <= 500)
    assert count(one, other) == brute_force(one, other)


@settings(max_examples=60, deadline=None)
@given(spaces(), st.integers(0, 3000))
def test_little_work_gives_a_bound(space: Choices, most: int) -> None:
    exact = count(space)
    counts = count(space, most_work=most)
    assert exact.distinct is not None
    assert counts.distinct in (None, exact.distinct)
    assert counts.exact == (counts.distinct is not None)
    assert exact.distinct <= counts.bound <= exact.raw - exact.invalid
    assert (counts.raw, counts.invalid) == (exact.raw, exact.invalid)


def complete(size: int, fixed: tuple[tuple[str, str], ...] = ()) -> Choices:
    """The paper's space: a target, three models for the others, four gates on every pair."""
    names = [f"m{i + 1}" for i in range(size)]
    models = {"resnet32": 1, "resnet110": 1, "wrn28_2": 1}
    pairs = [(s, d) for s in ("label", *names) for d in names if s != d]
    gates = {pair: LABEL_GATE if pair[0] == "label" else GATE for pair in pairs}
    gates |= dict.fromkeys(fixed, FIXED)
    return Choices(
        tuple(
            NodeChoices(name, models if i else {"resnet32": 1}, target=not i)
            for i, name in enumerate(names)
        ),
        tuple(EdgeChoices(*pair, kinds) for pair, kinds in gates.items()),
    )


def test_one_node() -> None:
    """The labels through, twice, or linear; or cut, which is invalid."""
    assert count(complete(1)) == Counts(raw=4, invalid=1, distinct=2, bound=2)


def test_two_nodes() -> None:
    """Without the peer 2 graphs. With it 3 gates into the target, its 3 models, and its edges.

    These come from the labels (3) and from the target (4), and the labels into the target are
    3: 2 + 3 · 3 · 3 · 4 · 3 = 326. Invalid are 3 models times 4 · 4 gates into the peer.
    """
    assert count(complete(2)) == Counts(raw=3 * 4**4, invalid=48, distinct=326, bound=326)


def test_three_nodes() -> None:
    """With two peers, each has 36 models and edges from outside; the labels have 3 gates.

    Both lead to the target themselves: 3² · 4² ways. One does, and the other leads to it: 2 ·
    3 · 3 · 4. The swap leaves 36 · 3 · 4 · 3 of these graphs as they are.
    """
    labelled = 36**2 * 3 * (3**2 * 4**2 + 2 * 3 * 3 * 4)
    unchanged = 36 * 3 * 4 * 3
    assert count(complete(3)).distinct == 326 + (labelled + unchanged) // 2 == 420_878


@pytest.mark.parametrize("size", range(2, 8))
def test_all_of_the_papers_spaces_are_counted(size: int) -> None:
    counts = count(complete(size))
    gates = size**2
    assert counts.raw == 3 ** (size - 1) * 4**gates
    assert counts.invalid == 3 ** (size - 1) * 4 ** (gates - size)
    # No graph has more names than there are orders of its peers, and sets to be dropped.
    assert counts.distinct is not None
    assert counts.raw // math.factorial(size - 1) // 2 ** (2 * size) < counts.distinct < counts.raw


@pytest.mark.parametrize("size", range(2, 8))
def test_nodes_that_differ_in_their_models_have_no_other_names(size: int) -> None:
    """Each peer has a model of its own: what counts is labelled graphs, set by set.

    All n peers lead to the target in R(n) graphs: all graphs where something enters it, less
    those where just k do, and nothing leads from the others to them or to the target.
    """
    useful: list[int] = []
    for n in range(size):
        every = 12**n * 4 ** (n * (n - 1)) * (3 * 4**n - 1)
        free = [(12 * 4 ** (n - 1)) ** (n - k) for k in range(n)]
        useful.append(every - sum(math.comb(n, k) * useful[k] * free[k] for k in range(n)))
    space = complete(size)
    nodes = [NodeChoices(n.name, {n.name: 1}, target=n.target) for n in space.nodes]
    distinct = sum(math.comb(size - 1, n) * useful[n] for n in range(size))
    assert count(Choices(tuple(nodes), space.edges)).distinct == distinct


@pytest.mark.parametrize(("size", "digraphs"), [*enumerate((1, 1, 3, 16, 218, 9608, 1_540_944))])
def test_kept_nodes_make_all_digraphs(size: int, digraphs: int) -> None:
    """Nodes that are kept and tell the target nothing: unlabelled digraphs (OEIS A000273)."""
    names = [f"a{i}" for i in range(size)]
    nodes = [NodeChoices("t", {"A": 1}, target=True)]
    nodes += [NodeChoices(name, {"A": 1}, kept=True) for name in names]
    edges = [EdgeChoices(*pair, OPEN) for pair in itertools.permutations(names, 2)]
    space = Choices(tuple(nodes), (EdgeChoices("label", "t", FIXED), *edges))
    assert count(space) == Counts(2 ** len(edges), 0, digraphs, digraphs)


@pytest.mark.parametrize(
    ("kinds", "distinct"),
    [
        (("A", "A"), 1 + 1 + 1),
        (("AB", "AB"), 1 + 2 + 3),
        (("AB", "BC"), 1 + 3 + 4),
        (("AB", "ABC"), 1 + 3 + 5),
        (("AB", "CD"), 1 + 4 + 4),
        (("AB", "BC", "CA"), 1 + 3 + 6 + 7),
    ],
)
def test_models_in_common(kinds: tuple[str, ...], distinct: int) -> None:
    """Peers that only teach the target, or not: which sets of models there can be.

    Of `AB`, `BC` and `CA`: none, 3 single models, all 6 pairs, and of the 10 triples all but
    AAA, BBB, CCC.
    """
    nodes = [NodeChoices("t", {"A": 1}, target=True)]
    nodes += [NodeChoices(f"a{i}", dict.fromkeys(each, 1)) for i, each in enumerate(kinds)]
    edges = [EdgeChoices(node.name, "t", OPEN) for node in nodes[1:]]
    space = Choices(tuple(nodes), (EdgeChoices("label", "t", FIXED), *edges))
    assert count(space).distinct == distinct


def test_one_gate_that_is_fixed_splits_the_peers() -> None:
    """Of m3 -> m2, which is fixed: m3 leads to the target wherever m2 does.

    Both lead there. m2 directly: 3 gates, those from m3 are 4 and from m2 to m3 4. m2 only by
    m3: 3 and 3. Two such graphs are the same when `through` is the gate of both directions,
    and exchanging the ends of the pair makes the one the other. Alone there is only m3.
    """
    nodes = 36**2 * 3
    labelled = nodes * (3 * 4 * 4 + 3 * 3)
    # Both directions through: both teach the target (3 · 3), or one does (3), twice.
    both = nodes * (3 * 3 + 3 + 3)
    unchanged = 36 * 3 * 3
    distinct = labelled - both + (both + unchanged) // 2
    assert count(complete(3, fixed=(("m3", "m2"),))).distinct == 326 + distinct == 192_944


def test_a_gate_fixed_in_the_largest_space() -> None:
    """A fixed edge between peers takes off what holds no such edge at all, and little else."""
    free, tied = count(complete(7)), count(complete(7, fixed=(("m3", "m2"),)))
    assert free.distinct is not None
    assert tied.distinct is not None
    assert tied.raw * 4 == free.raw
    assert 0.999 * free.distinct < tied.distinct < free.distinct


def test_too_much_work_is_a_bound() -> None:
    counts = count(complete(7, fixed=(("m3", "m2"), ("m2", "m1"))))
    assert not counts.exact
    assert counts.bound < (counts.raw - counts.invalid) // 10


def test_no_work_leaves_the_valid_points() -> None:
    counts = count(complete(3), most_work=0)
    assert (counts.distinct, counts.bound) == (None, counts.raw - counts.invalid)


def test_edges_side_by_side() -> None:
    """Two pairs of taps between the same nodes: cut, one, the other, or both."""
    nodes = (NodeChoices("t", {"A": 1}, target=True), NodeChoices("a", {"A": 1}))
    taps = [EdgeChoices("a", "t", {None: 2, text: 1}) for text in ("stage1", "stage2")]
    assert count(Choices(nodes, tuple(taps))) == Counts(raw=9, invalid=4, distinct=3, bound=3)


def test_a_space_for_each_temperature() -> None:
    """The peer's one edge reads the temperature; where it is cut, both are the same graph."""
    nodes = (NodeChoices("t", {"A": 1}, target=True), NodeChoices("a", {"A": 1}))
    label = EdgeChoices("label", "t", FIXED)
    each = [
        Choices(nodes, (label, EdgeChoices("a", "t", {None: 1, f"kl(T={T})": 1}))) for T in (1, 2)
    ]
    assert count(*each) == Counts(raw=4, invalid=0, distinct=3, bound=3)


def test_targets_keep_their_names() -> None:
    """Two targets, one of which learns from the labels and one from the other."""
    nodes = tuple(NodeChoices(name, {"A": 1}, target=True) for name in "uv")
    pairs = [("label", "u"), ("label", "v"), ("u", "v"), ("v", "u")]
    space = Choices(nodes, tuple(EdgeChoices(*pair, OPEN) for pair in pairs))
    assert count(space) == Counts(raw=16, invalid=16 - 9, distinct=9, bound=9)


def test_no_valid_point() -> None:
    space = Choices((NodeChoices("t", {"A": 5}, target=True),), ())
    assert count(space) == Counts(raw=5, invalid=5, distinct=0, bound=0)


T = NodeChoices("t", {"A": 1}, target=True)


@pytest.mark.parametrize(
    ("nodes", "edges", "message"),
    [
        ((T, T), (), "declared twice"),
        ((T, NodeChoices("label", {"A": 1})), (), "called as the labels"),
        ((T,), (EdgeChoices("a", "t", OPEN),), "a -> t joins no two nodes"),
        ((T,), (EdgeChoices("t", "label", OPEN),), "t -> label joins no two nodes"),
        ((T,), (EdgeChoices("t", "t", OPEN),), "t -> t joins a node with itself"),
        ((NodeChoices("t", {}, target=True),), (), "nothing to choose"),
        ((T,), (EdgeChoices("label", "t", {"through": 0}),), "nothing to choose"),
    ],
)
def test_what_is_no_space(
    nodes: tuple[NodeChoices, ...], edges: tuple[EdgeChoices, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Choices(nodes, edges)


def test_spaces_with_other_targets() -> None:
    other = Choices((NodeChoices("u", {"A": 1}, target=True),), ())
    with pytest.raises(ValueError, match="the same targets"):
        count(Choices((T,), ()), other)
    with pytest.raises(ValueError, match="one space at least"):
        count()
