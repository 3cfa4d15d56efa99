"""The size of a space: how many points it has, and how many distinct graphs."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ktgdsl.lowering.draft import Draft
from ktgdsl.lowering.expand import expand
from ktgdsl.lowering.gates import CUTOFF
from ktgdsl.plan.model import LABEL, Draw, Plan, node_of, tap_of
from ktgdsl.space.choice_tables import Choices, EdgeChoices, NodeChoices
from ktgdsl.space.counting import Counts, count
from ktgdsl.space.space import OpenFile, parsed, plan_at
from ktgdsl.space.substitutions import Point, PointSubstitution

ONE_BY_ONE = 1_000
"""Spaces up to this many points are enumerated where graphs cannot be counted otherwise."""

CASES = 256
"""How many combinations of draws for the whole file, such as `let`s, are counted separately."""


@dataclass(frozen=True)
class Size:
    """The size of a space.

    Of `raw` points, None where there is no end of them, `invalid` have a target that learns
    nothing, None where nobody has counted. There are `distinct` graphs, or if that is None at
    most `bound`, where that is known.
    """

    raw: int | None
    invalid: int | None
    distinct: int | None
    bound: int | None


def size(plan: Plan) -> Size:
    """Count the points of a space and the distinct graphs among them.

    Exact where nodes choose their networks and edges their terms, each for itself, and for
    small spaces; see `space.counting`. Raises ValueError when nothing is open.
    """
    if plan.space is None:
        raise ValueError("this plan leaves nothing open")
    choices = [draw.choices for draw in plan.space.draws]
    if None in choices:
        return Size(None, None, None, None)
    raw = math.prod(each or 1 for each in choices)
    if (counts := _counted(plan)) is not None:
        return Size(raw, counts.invalid, counts.distinct, counts.bound)
    if raw <= ONE_BY_ONE:
        found = (plan_at(plan, point) for point in points(plan.space.draws))
        valid = [each.canonical_digest for each in found if each is not None]
        return Size(raw, raw - len(valid), len(set(valid)), len(set(valid)))
    return Size(raw, None, None, raw)


def points(draws: tuple[Draw, ...]) -> Iterator[Point]:
    """All points of a finite space, in order; the last draw changes fastest."""
    values = [
        range(len(d.options)) if d.options else range(int(d.low or 0), int(d.high or 0) + 1)
        for d in draws
    ]
    names = [draw.name for draw in draws]
    for chosen in itertools.product(*values):
        yield dict(zip(names, chosen, strict=True))


def _counted(plan: Plan) -> Counts | None:
    """The counts of a space of independent nodes and edges; None for other spaces."""
    assert plan.space is not None
    if plan.graph.derived or plan.graph.shares or plan.phases:
        return None
    if plan.train.update == "sequential":
        return None  # the order of nodes counts there, and renaming does not keep it
    owners: dict[str, list[Draw]] = {}
    for draw in plan.space.draws:
        owners.setdefault(_owner(draw.name), []).append(draw)
    if any(name.startswith("?") for name in owners):
        return None
    if any(draw.name.startswith("pretrain.") for draw in plan.space.draws):
        return None  # it matters only at points where a node is pre-trained
    shared = tuple(draw for draw in plan.space.draws if _owner(draw.name) == "")
    if math.prod(draw.choices or 0 for draw in shared) > CASES:
        return None
    own = {name: tuple(draws) for name, draws in owners.items() if name}
    cases: dict[str, list[Choices]] = {}
    for case in points(shared):
        settings, default = _settings(plan, case)
        choices = _choices(plan, own, case, default)
        if choices is None:
            return None
        cases.setdefault(settings, []).append(choices)
    counts = [count(*group) for group in cases.values()]
    distinct = [each.distinct for each in counts]
    return Counts(
        sum(each.raw for each in counts),
        sum(each.invalid for each in counts),
        None if None in distinct else sum(each or 0 for each in distinct),
        sum(each.bound for each in counts),
    )


def _owner(name: str) -> str:
    """The node or edge that a draw is of, nothing for all others; "?" where it changes pairs."""
    kind, _, rest = name.partition(".")
    if name.endswith((".count", ".index", ".source", ".destination")):
        return "?"
    if kind == "edge" and "->" in rest:
        # Terms are the last part, from `.gate` or `.loss` on.
        at_gate, at_loss = rest.find(".gate"), rest.find(".loss")
        return f"edge {rest[: max(at_gate, at_loss)]}"
    if kind == "edge":
        return "?"
    return f"node {rest.partition('.')[0]}" if kind == "node" else ""


def _settings(plan: Plan, case: Point) -> tuple[str, str]:
    """The settings of a plan at a case, and the optimiser and schedule that nodes have by default.

    Both as text.
    """
    found = plan_at(plan, case)
    settings = plan if found is None else found
    train = settings.train.model_dump(mode="json")
    default = {name: train.pop(name) for name in ("optimizer", "schedule")}
    return json.dumps([settings.data.model_dump(mode="json"), train]), json.dumps(default)


def _choices(
    plan: Plan, own: Mapping[str, tuple[Draw, ...]], case: Point, default: str
) -> Choices | None:
    """The independent choices of each node and edge; None where they depend on others."""
    assert plan.space is not None
    space = parsed(plan.space.text)
    nodes: dict[str, Counter[str]] = {}
    edges: dict[tuple[str, str], Counter[str | None]] = {}
    local = {name: list(points(draws)) for name, draws in own.items()}
    rounds = max((len(each) for each in local.values()), default=1)
    draft: Draft | None = None
    for number in range(rounds):
        point = dict(case)
        for each in local.values():
            point.update(each[number % len(each)])
        draft = _drafted(space, point, plan.data.views)
        if draft is None or draft.derived or draft.shares:
            return None  # those of nodes that no target needs are not in the plan
        for name, node in draft.nodes.items():
            if number < len(local.get(f"node {name}", [0])):
                settings = node.settings.model_dump_json(exclude={"keep", "cache"})
                text = f"{node.network.call()} {settings} {default}"
                nodes.setdefault(name, Counter())[text] += 1
        for key, edge in draft.edges.items():
            if not edge.transfers:
                return None
            owner = f"edge {edge.source}->{edge.destination}"
            if number < len(local.get(owner, [0])):
                live = [term.model_dump_json() for term in edge.terms if term.gate != CUTOFF]
                folded = f"{tap_of(edge.source)} {edge.destination.tap} {live}" if live else None
                edges.setdefault(key, Counter())[folded] += 1
    assert draft is not None
    return Choices(
        tuple(
            NodeChoices(name, kinds, name in draft.targets, draft.nodes[name].settings.keep)
            for name, kinds in nodes.items()
        ),
        tuple(
            EdgeChoices(node_of(edge.source) or LABEL, edge.destination.node, kinds)
            for edge, kinds in ((draft.edges[key], kinds) for key, kinds in edges.items())
        ),
    )


def _drafted(space: OpenFile, point: Point, views: int) -> Draft | None:
    """The graph of a space at a point, before anything is cut; None where something is wrong."""
    resolver = space.resolver.without_complaints()
    substitution = PointSubstitution(resolver, space.parts, point)
    assert space.file.graph is not None
    draft = expand(resolver, substitution, space.file.graph, views).draft
    return None if resolver.diagnostics else draft
