"""The size of a space, against going through all of its points."""

import itertools
import random

import pytest

from ktgdsl.plan.model import Plan
from ktgdsl.space.size import Size, points, size
from ktgdsl.space.space import plan_at
from tests.specs import compiled, sound


def by_hand(plan: Plan) -> Size:
    """Every point on its own."""
    assert plan.space is not None
    found = [plan_at(plan, point) for point in points(plan.space.draws)]
    valid = [each.canonical_digest for each in found if each is not None]
    graphs = len(set(valid))
    return Size(len(found), len(found) - len(valid), graphs, graphs)


NETWORKS = ("resnet8", "resnet14", "wrn10_2")
GATES = ("through", "cutoff", "linear", "correct", "0.5 * (correct | cutoff)", "until(50%)")
LOSSES = ("", "kl", "kl(T=1 | 4)", "mse | js")


def drawn(generator: random.Random) -> str:
    """A random space of two or three nodes with at most some hundred points, some valid."""
    while True:
        names = ["a", "b", "c"][: generator.randint(2, 3)]
        lines, count = [], 1

        def choice(options: tuple[str, ...], most: int) -> str:
            nonlocal count
            some = generator.sample(options, generator.randint(1, most))
            count *= len(some) * 2 ** sum(" (" in each or "|" in each for each in some)
            return " | ".join(some)

        for name in names:
            keep = generator.choice(["", "", "", " { keep = true }", " { frozen = true }"])
            lines.append(f"node {name} = {choice(NETWORKS, 2)}{keep if name != 'a' else ''}")
        frozen = {line.split()[1] for line in lines if "frozen" in line}
        lines.append("target a")
        for source, destination in itertools.permutations(["label", *names], 2):
            if destination == "label" or destination in frozen or generator.random() < 0.3:
                continue
            loss = "" if source == "label" else generator.choice(LOSSES)
            count *= 2 if "|" in loss else 1
            colon = f" : {loss}" if loss else ""
            lines.append(f"edge {source} -> {destination}{colon} via {choice(GATES, 3)}")
        text = "graph g {\n" + "\n".join(lines) + "\n}\n"
        if "|" in text and 2 <= count <= 300 and compiled(text).plan is not None:
            return text


@pytest.mark.parametrize("seed", range(40))
def test_counting_is_going_through_all_points(seed: int) -> None:
    plan = sound(drawn(random.Random(seed)))
    assert size(plan) == by_hand(plan)


def test_gates_of_two_views() -> None:
    gates = "stable | correct | stable(0.5) * steadier(0.5)"
    edges = f"edge b -> a via {gates} edge b -> b : mse via {gates}"
    nodes = "node a, b = resnet8 target a edge label -> b edge label -> a via stable | correct"
    plan = sound(f"graph g {{ {nodes} {edges} }} data digits {{ augment = paper views = 2 }}")
    # From the labels both gates are `through`.
    assert size(plan) == by_hand(plan) == Size(18, 0, 9, 9)


def test_what_is_drawn_once_for_the_file() -> None:
    text = """
    let T = 1 | 2 | 4
    let each gate = through | cutoff
    graph g {
        node a, b = resnet8
        target a
        edge label -> * via gate
        edge * -> * : kl(T=T) via gate
    }
    train { optimizer = sgd(lr=0.1 | 0.2) }
    """
    plan = sound(text)
    found = size(plan)
    assert found == by_hand(plan)
    # Without a transfer edge nobody reads T, and the learning rate is always read.
    assert (found.raw, found.distinct is not None) == (3 * 2 * 2**4, True)


def test_the_paper_s_spaces_of_two_and_three_nodes() -> None:
    """M^(N-1) G^(N²) points; two nodes have 2 + 3·3·3·4·3 graphs, counted by hand."""
    text = """
    let each gate = through | cutoff | linear | correct
    graph g {{
        node m1 = resnet8
        node {} = resnet8 | resnet14 | wrn10_2
        target m1
        edge label -> * : ce via gate
        edge * -> * : kl via gate
    }}
    """
    assert size(sound(text.format("m2"))) == Size(3 * 4**4, 48, 326, 326)
    assert size(sound(text.format("m2, m3"))) == Size(9 * 4**9, 36864, 420878, 420878)


def test_renaming_that_turns_the_order_is_not_the_same_graph() -> None:
    text = """
    graph g {
        node a, b, c = resnet8 | resnet14
        target a
        edge label -> *
        edge * -> *
    }
    """
    assert size(sound(text)).distinct == 2 * 3
    in_turn = sound(text + "train { update = sequential }")
    assert size(in_turn) == by_hand(in_turn)
    assert size(in_turn).distinct == 2 * 4


def test_a_range_of_numbers_has_no_end() -> None:
    text = "graph g { node a = resnet8 target a edge label -> a via 0.1 .. 1 }"
    assert size(sound(text)) == Size(None, None, None, None)


def test_whole_numbers_are_counted() -> None:
    text = "graph g { node a = resnet8 target a edge label -> a } train { epochs = 1 .. 5 }"
    assert size(sound(text)) == Size(5, 0, 5, 5)


def test_an_open_number_of_nodes_is_gone_through() -> None:
    text = "graph g { node a = resnet8 node p[1 .. 3] = resnet8 | resnet14 target a edge * -> * }"
    plan = sound(text)
    assert size(plan) == by_hand(plan)
    # One, two or three peers of two kinds; what is drawn for peers that are not there is not read.
    assert size(plan).distinct == 2 + 3 + 4


def test_what_is_too_large_to_count_has_a_bound() -> None:
    text = """
    graph g {
        node a = resnet8
        node p[1 .. 6] = resnet8 | resnet14
        target a
        edge * -> * : kl via through | correct
    }
    """
    found = size(sound(text))
    assert found.raw == found.bound == 6 * 2**6 * 2**42
    assert found.distinct is None
    assert found.invalid is None


@pytest.mark.parametrize(
    ("body", "distinct"),
    [
        ("node d = ensemble(a) edge d -> b via linear | agree", 1),  # nothing leads from b to a
        # Of sharers the first has the initial weights: it matters which of them teaches.
        ("share b, c { layers = [stem] } edge b, c -> a via cutoff | linear", 4),
    ],
)
def test_what_the_first_point_drops_counts_too(body: str, distinct: int) -> None:
    text = f"graph g {{ node a, b, c = resnet8 target a edge label -> * {body} }}"
    assert size(sound(text)).distinct == distinct


def test_a_spec_has_no_size() -> None:
    with pytest.raises(ValueError, match="leaves nothing open"):
        size(sound("graph g { node a = resnet8 target a edge label -> a }"))
