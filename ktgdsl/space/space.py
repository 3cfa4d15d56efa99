"""Search spaces: checked for all of their options, and lowered at a point."""

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic, has_errors
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.lowering.edge_kind import EdgeKind
from ktgdsl.lowering.gates import gate
from ktgdsl.lowering.lower import Lowered, lets, lower
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.spec_paths import SpecPaths
from ktgdsl.lowering.written_specs import in_one_file
from ktgdsl.plan import model
from ktgdsl.plan.model import LABEL, Draw, Plan
from ktgdsl.space.substitutions import CoveringSubstitution, Point, PointSubstitution
from ktgdsl.syntax.format import format_file
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.tree import Choice, Edge, File, Range
from ktgdsl.syntax.walk import walk

MOST_OPTIONS = 1024
"""How many options one open value may have, those nested in it counted in."""

TRIES = 200
"""How many points are drawn at random to find one that is valid."""


def first_open(file: File) -> Choice | Range:
    """The first open value of a space; of its graph and settings rather than of its `let`s."""
    found = [part for part in walk(file) if isinstance(part, Choice | Range)]
    return found[0]


def _sampler(file: File) -> Span:
    """Where the sampler of a file that has one is named."""
    block = file.block("search")
    settings = block.settings if block else ()
    return next((s.value.span for s in settings if s.name == "sampler"), file.span)


class Chosen(NamedTuple):
    """A point of a space and the plan there."""

    point: Point
    plan: Plan


def lower_space(
    file: File,
    paths: SpecPaths,
    earlier: Sequence[Diagnostic] = (),
    unread: frozenset[str] = frozenset(),
) -> Lowered:
    """The plan of a validated space: that of its first valid point, with the space's draws.

    Every option of every open value is checked. What is wrong with the graph of a point only,
    such as a target that learns nothing, makes the point invalid and not the space.
    """
    resolver = Resolver(lets(file), unread)
    rounds = CoveringSubstitution(resolver, 0).rounds(file)
    if rounds > MOST_OPTIONS:
        message = f"an open value has at most {MOST_OPTIONS:,} options, and here are {rounds:,}"
        found = [Diagnostic("E003", message, first_open(file).span)]
        return Lowered(None, tuple(found))
    found = list(_gates(file, resolver))
    negative = bool(found)
    for turn in range(rounds):
        lowered = lower(file, paths, earlier, unread, partial(CoveringSubstitution, turn=turn))
        found += [d for d in lowered.word_diagnostics if not (negative and d.code == "E304")]
        found += [d for d in lowered.graph_diagnostics if d.code == "E403"]
    found = list(dict.fromkeys(found))
    if has_errors((*earlier, *found)):
        return Lowered(None, tuple(found))
    draws = _draws(file, paths)
    first = next(_valid(file, paths, draws, rounds), None)
    if first is None:
        message = "no point of this space has a target that learns"
        fix = f"of the {TRIES:,} that were tried; `edge label -> a` lets a target learn"
        if (other := _wrong_lower_at(file, paths)) is not None:
            message = "no point of this space is a graph that can train"
            fix = f"of the {TRIES:,} that were tried; at the first, {other.message}"
        return Lowered(None, (*found, Diagnostic("E411", message, first_open(file).span, fix)))
    if not draws:  # only a `let` that nobody mentions is open
        return Lowered(first.plan.model_copy(update={"search": None}), tuple(found))
    endless = next((draw for draw in draws if draw.choices is None), None)
    search = first.plan.search
    if endless is not None and search is not None and search.sampler.name == "all":
        message = f"there is no end of values of `{endless.name}`, so nobody can try them all"
        fix = "`sampler = random` or `tpe` can search it"
        problem = Diagnostic("E411", message, _sampler(file), fix)
        return Lowered(None, (*found, problem))
    space = model.Space.model_construct(text=format_file(in_one_file(file, paths)), draws=draws)
    plan = first.plan.model_copy(update={"space": space})
    return Lowered(plan, tuple(found))


def _gates(file: File, resolver: Resolver) -> Iterator[Diagnostic]:
    """Gates that could be negative for some of their options, though not for the first."""
    for edge in (p for p in walk(file) if isinstance(p, Edge)):
        from_label = all(each.name == LABEL for each in edge.sources)
        edge_kind = EdgeKind("label" if from_label else "node", views=2)
        for term in edge.terms:
            if term.gate is not None and CoveringSubstitution(resolver, 0).is_open(term.gate):
                trial = Resolver(resolver.lets, resolver.unread)
                gate(trial, term.gate, edge_kind)
                yield from (d for d in trial.diagnostics if d.code == "E304")


def _draws(file: File, paths: SpecPaths) -> tuple[Draw, ...]:
    """All draws of a space; where counts are open, those of the largest graph."""
    found = _draws_at_turn(file, paths, 0)
    # What a node is may decide which edges there are: `*` leaves some nodes out.
    turns = [len(draw.options) for name, draw in found.items() if name.startswith("node.")]
    for turn in range(1, max(turns, default=1)):
        for name, draw in _draws_at_turn(file, paths, turn).items():
            found.setdefault(name, draw)
    return tuple(found.values())


def _draws_at_turn(file: File, paths: SpecPaths, turn: int) -> dict[str, Draw]:
    substitutions: list[PointSubstitution] = []

    def largest(resolver: Resolver) -> PointSubstitution:
        substitutions.append(PointSubstitution(resolver, {}, turn=turn))
        return substitutions[-1]

    lower(file, paths, substitute=largest)
    return substitutions[0].draws


def _valid(file: File, paths: SpecPaths, draws: tuple[Draw, ...], rounds: int) -> Iterator[Chosen]:
    """Valid points: the first options, then every n-th options, then at random."""
    generator = random.Random(0)
    points: Iterator[Point] = (
        {d.name: min(turn, len(d.options) - 1) for d in draws if d.options}
        for turn in range(rounds)
    )
    for point in points:
        if (plan := _lower_at(file, paths, point)) is not None:
            yield Chosen(point, plan)
    for _ in range(TRIES):
        point = {d.name: generator.randrange(len(d.options)) for d in draws if d.options}
        if (plan := _lower_at(file, paths, point)) is not None:
            yield Chosen(point, plan)


def _wrong_lower_at(file: File, paths: SpecPaths) -> Diagnostic | None:
    """What is wrong at the first point of a space, if it is not that its target is idle."""
    found = lower(file, paths, substitute=partial(PointSubstitution, point={})).diagnostics
    return next((d for d in found if d.severity == "error" and d.code != "E402"), None)


def _lower_at(file: File, paths: SpecPaths, point: Point) -> Plan | None:
    return lower(file, paths, substitute=partial(PointSubstitution, point=point)).plan


def plan_at(plan: Plan, point: Point) -> Plan | None:
    """The plan at a point of its space, with nothing open; None where the point is invalid.

    What the point does not say is the first option, or the low end of a range. Facts of data
    that have been loaded for the space are kept. Raises ValueError when nothing is open, or the
    point names a draw or option that there is not.
    """
    if plan.space is None:
        raise ValueError("this plan leaves nothing open")
    _check_point(plan.space, point)
    found = _lower_at(parsed(plan.space.text), _anywhere(plan), point)
    return None if found is None else _informed(found, plan.data)


def _informed(plan: Plan, known: model.DataPlan) -> Plan:
    """The plan with the facts that are known of its data."""
    data = plan.data.model_copy(update={"facts": known.facts})
    same = (data.source, data.root, data.classes_expected) == (
        known.source,
        known.root,
        known.classes_expected,
    )
    return plan.model_copy(update={"data": data}) if same and plan.data.facts is None else plan


def every_option(plan: Plan) -> Iterator[Plan]:
    """Plans at points of a space that together take every option, but for invalid points."""
    assert plan.space is not None
    file = parsed(plan.space.text)
    rounds = CoveringSubstitution(Resolver(lets(file)), 0).rounds(file)
    yield plan
    for turn in range(rounds):
        found = lower(
            file, _anywhere(plan), substitute=partial(CoveringSubstitution, turn=turn)
        ).plan
        if found is not None:
            yield found


def _anywhere(plan: Plan) -> SpecPaths:
    """The folder of the plan; its paths have been looked at before, and may lie anywhere."""
    return SpecPaths(Path(plan.folder or "."), root=Path(Path.cwd().anchor))


def _check_point(space: model.Space, point: Point) -> None:
    draws = {draw.name: draw for draw in space.draws}
    for name, value in point.items():
        if name not in draws:
            raise ValueError(f"the space has no draw `{name}`")
        draw = draws[name]
        low, high = (0, len(draw.options) - 1) if draw.options else (draw.low, draw.high)
        assert low is not None
        assert high is not None
        whole = draw.choices is None or value == int(value)
        if not (low <= value <= high and whole):
            raise ValueError(f"`{name}` is one of {draw}, not {value}")


@lru_cache(maxsize=8)
def parsed(text: str) -> File:
    """The tree of the text that a plan keeps of its space."""
    file, problems = parse(Source("<space>", text))
    assert file is not None
    assert not problems
    return file
