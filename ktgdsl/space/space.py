"""Search spaces: checks every option of a space, and lowers it at a point."""

import random
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain, islice, product
from pathlib import Path
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic, has_errors
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.lowering.edge_kind import EdgeKind
from ktgdsl.lowering.gates import gate
from ktgdsl.lowering.lower import Lowered, check_substituted, lets, lower
from ktgdsl.lowering.moved_specs import in_one_file
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.spec_paths import SpecPaths
from ktgdsl.plan import model
from ktgdsl.plan.model import LABEL, Draw, Plan
from ktgdsl.space.open_parts import OpenParts
from ktgdsl.space.substitutions import (
    CoveringSubstitution,
    Point,
    PointSubstitution,
)
from ktgdsl.syntax.format import format_file
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.tree import Block, Choice, Edge, File, Range
from ktgdsl.syntax.walk import walk
from ktgdsl.vocabulary.networks import Derived, expand_shorthand
from ktgdsl.vocabulary.registry import entries

MAX_OPTIONS = 1024
"""How many options one open value may have, those nested in it counted in."""

MAX_ENDS = 256
"""How many combinations of the ends of open lengths are tried to find the longest trial."""

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


class OpenFile(NamedTuple):
    """The tree of a space with what is cached for all of its points: open parts and words."""

    file: File
    parts: OpenParts
    resolver: Resolver

    @classmethod
    def of(cls, file: File, unparsed: frozenset[str] = frozenset()) -> "OpenFile":
        """Analyse a tree; `unparsed` as in `lower`."""
        resolver = Resolver(lets(file), unparsed)
        return cls(file, OpenParts(resolver.lets), resolver)

    def lower_at(self, paths: SpecPaths, point: Point) -> Lowered:
        """Lower the file at a point."""
        at_point = partial(PointSubstitution, parts=self.parts, point=point)
        return lower(self.file, paths, substitute=at_point, resolver=self.resolver)

    def lower_round(self, paths: SpecPaths, number: int) -> Lowered:
        """Lower the file in one of the rounds that take every option."""
        substitution = partial(CoveringSubstitution, parts=self.parts, round_number=number)
        return lower(self.file, paths, substitute=substitution, resolver=self.resolver)

    def check_round(self, paths: SpecPaths, number: int) -> tuple[Diagnostic, ...]:
        """The errors of one of these rounds that do not depend on the options of other values."""
        substitution = partial(CoveringSubstitution, parts=self.parts, round_number=number)
        return check_substituted(self.file, paths, substitution, self.resolver)


def lower_space(
    file: File,
    paths: SpecPaths,
    earlier: Sequence[Diagnostic] = (),
    unparsed: frozenset[str] = frozenset(),
) -> Lowered:
    """The plan of a validated space: that of its first valid point, with the space's draws.

    Every option of every open value is checked. What is wrong with the graph of a point only,
    such as a target that learns nothing, makes the point invalid and not the space.
    """
    space = OpenFile.of(file, unparsed)
    rounds = space.parts.rounds(file)
    if rounds > MAX_OPTIONS:
        message = f"an open value has at most {MAX_OPTIONS:,} options, and here are {rounds:,}"
        found = [Diagnostic("E003", message, first_open(file).span)]
        return Lowered(None, tuple(found))
    found = list(_gates(space))
    negative = bool(found)
    for number in range(rounds):
        wrong = space.check_round(paths, number)
        found += [d for d in wrong if not (negative and d.code == "E304")]
    found = list(dict.fromkeys(found))
    if has_errors((*earlier, *found)):
        return Lowered(None, tuple(found))
    draws = _draws(space, paths)
    first = next(_valid(space, paths, draws, rounds), None)
    if first is None:
        message = "no point of this space has a target that learns"
        fix = f"of the {TRIES:,} that were tried; `edge label -> a` lets a target learn"
        if (other := _wrong_at_first(space, paths)) is not None:
            message = "no point of this space is a graph that can train"
            fix = f"of the {TRIES:,} that were tried; at the first, {other.message}"
        return Lowered(None, (*found, Diagnostic("E411", message, first_open(file).span, fix)))
    if not draws:  # only a `let` that nobody mentions is open
        spec = lower(file, paths, unparsed=unparsed)
        plan = spec.plan and spec.plan.model_copy(update={"search": None})
        return Lowered(plan, (*found, *spec.diagnostics))
    endless = next((draw for draw in draws if draw.choices is None), None)
    search = first.search
    if endless is not None and search is not None and search.sampler.name == "all":
        message = f"there is no end of values of `{endless.name}`, so nobody can try them all"
        fix = "`sampler = random` or `tpe` can search it"
        problem = Diagnostic("E411", message, _sampler(file), fix)
        return Lowered(None, (*found, problem))
    text = format_file(in_one_file(file, paths))
    open_values = model.Space.model_construct(text=text, draws=draws)
    if search is not None:
        epochs = max([search.epochs, *_lengths(space, paths, draws)])
        search = search.model_copy(update={"epochs": epochs})
    update = {"space": open_values, "search": search}
    return Lowered(first.model_copy(update=update), tuple(found))


def _lengths(space: OpenFile, paths: SpecPaths, draws: Sequence[Draw]) -> Iterator[int]:
    """The lengths of a trial where lengths are open, at their smallest and greatest values.

    The longest one is there, as the length of a training is a sum of what is drawn for each.
    """
    blocks = [each for each in space.file.statements if isinstance(each, Block)]
    written = [s.value for block in blocks for s in block.settings if s.name == "epochs"]
    if not any(space.parts.is_open(value) for value in written):
        return
    ends = []
    for draw in draws:
        of_block = draw.name.startswith(("train.epochs", "phase.")) and ".epochs" in draw.name
        if of_block or draw.name.startswith("let."):
            ends.append([(draw.name, end) for end in _ends(draw)])
    for point in islice(product(*ends), MAX_ENDS):
        if (plan := space.lower_at(paths, dict(point)).plan) is not None:
            assert plan.search is not None
            yield plan.search.epochs


def _ends(draw: Draw) -> Iterable[int | float]:
    """The greatest and the smallest value of a draw, or all options where they are no numbers."""
    if not draw.options:
        return (draw.high or 0, draw.low or 0)
    if not all(option.isdecimal() for option in draw.options):
        return range(len(draw.options))
    order = sorted(range(len(draw.options)), key=lambda index: int(draw.options[index]))
    return dict.fromkeys([order[-1], order[0]])


def _gates(space: OpenFile) -> Iterator[Diagnostic]:
    """Gates that could be negative for some of their options, though not for the first."""
    for edge in (p for p in walk(space.file) if isinstance(p, Edge)):
        from_label = all(each.name == LABEL for each in edge.sources)
        edge_kind = EdgeKind("label" if from_label else "node", views=2)
        for term in edge.terms:
            if term.gate is not None and space.parts.is_open(term.gate):
                trial = space.resolver.without_complaints()
                gate(trial, term.gate, edge_kind)
                yield from (d for d in trial.diagnostics if d.code == "E304")


def _draws(space: OpenFile, paths: SpecPaths) -> tuple[Draw, ...]:
    """All draws of a space; where counts are open, those of the largest graph."""
    found = _draws_in_round(space, paths, 0)
    # What a node is may decide which edges there are: `*` leaves some nodes out.
    rounds = [len(d.options) for d in found.values() if d.name.startswith("node.") and _decides(d)]
    for number in range(1, max(rounds, default=1)):
        for name, draw in _draws_in_round(space, paths, number).items():
            found.setdefault(name, draw)
    return tuple(found.values())


def _decides(draw: Draw) -> bool:
    """Whether a draw of a node may decide what `*` means: it does not between networks."""
    words = {option.partition("(")[0] for option in draw.options}
    networks = [entries("network").get(word) for word in words if not expand_shorthand(word)]
    return any(network is None or issubclass(network, Derived) for network in networks)


def _draws_in_round(space: OpenFile, paths: SpecPaths, number: int) -> dict[str, Draw]:
    substitutions: list[PointSubstitution] = []

    def largest(resolver: Resolver) -> PointSubstitution:
        substitutions.append(PointSubstitution(resolver, space.parts, {}, round_number=number))
        return substitutions[-1]

    check_substituted(space.file, paths, largest, space.resolver)
    return substitutions[0].draws


def _valid(
    space: OpenFile, paths: SpecPaths, draws: tuple[Draw, ...], rounds: int
) -> Iterator[Plan]:
    """Plans at valid points: the first options, then every n-th options, then at random."""
    generator = random.Random(0)
    points: Iterator[Point] = (
        {d.name: min(number, len(d.options) - 1) for d in draws if d.options}
        for number in range(rounds)
    )
    at_random = (
        {d.name: generator.randrange(len(d.options)) for d in draws if d.options}
        for _ in range(TRIES)
    )
    for point in chain(points, at_random):
        if (plan := space.lower_at(paths, point).plan) is not None:
            yield plan


def _wrong_at_first(space: OpenFile, paths: SpecPaths) -> Diagnostic | None:
    """The first error at the first point of a space, unless its target just learns nothing."""
    found = space.lower_at(paths, {}).diagnostics
    return next((d for d in found if d.severity == "error" and d.code != "E402"), None)


def plan_at(plan: Plan, point: Point) -> Plan | None:
    """The plan at a point of its space, with nothing open; None where the point is invalid.

    What the point does not say is the first option, or the low end of a range. Facts of data
    that have been loaded for the space are kept. Raises ValueError when nothing is open, or the
    point names a draw or option that there is not.
    """
    if plan.space is None:
        raise ValueError("this plan leaves nothing open")
    _check_point(plan.space, point)
    found = parsed(plan.space.text).lower_at(_anywhere(plan), point).plan
    return None if found is None else _with_facts(found, plan.data)


def _with_facts(plan: Plan, known: model.DataPlan) -> Plan:
    """The plan with the facts of the data that `known` has."""
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
    space = parsed(plan.space.text)
    yield plan
    for number in range(space.parts.rounds(space.file)):
        if (found := space.lower_round(_anywhere(plan), number).plan) is not None:
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
def parsed(text: str) -> OpenFile:
    """The tree of the text in a plan's `space`, cached."""
    file, problems = parse(Source("<space>", text))
    assert file is not None
    assert not problems
    return OpenFile.of(file)
