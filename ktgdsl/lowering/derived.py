"""Lowers derived nodes: ensembles, moving averages, stale copies, constants."""

from collections.abc import Sequence

from ktgdsl.lowering.draft import DraftContext, DraftDerived
from ktgdsl.lowering.taps import check_tap
from ktgdsl.syntax.tree import Declared, Node
from ktgdsl.vocabulary.networks import Derived
from ktgdsl.vocabulary.refs import NodeRef, Tap
from ktgdsl.vocabulary.settings import NodeSettings

_OF_NETWORKS = frozenset({"weights", "frozen", "mode", "cache", "device", "heads"})
_OF_LEARNERS = frozenset({"optimizer", "schedule"})


def derive(
    context: DraftContext,
    statement: Node,
    declared: Declared,
    member: tuple[str, int | None],
    made: Derived,
    settings: NodeSettings,
) -> None:
    """Add a node made from others; what is wrong with it is complained about."""
    name, _ = member
    if made.follows:
        sources = _followed(context, statement, declared, member, made.sources[0])
    else:
        sources = _combined(context, statement, name, made)
    for setting in statement.settings:
        if setting.name in _OF_NETWORKS or (setting.name in _OF_LEARNERS and not made.learned):
            context.resolver.complain(
                "E204",
                f"`{made.word}` has no setting `{setting.name}`",
                setting.name_span,
                "it has no weights of its own; `keep` is what can be said of it",
            )
    context.draft.derived[name] = DraftDerived(
        name,
        made,
        sources,
        by=_gate_node(context, statement, made.gate_tap),
        learned=made.learned,
        passes=made.passes_gradients,
        settings=settings,
        span=declared.span,
    )


def _combined(context: DraftContext, statement: Node, name: str, made: Derived) -> tuple[str, ...]:
    """The nodes that `name` combines."""
    names = [source for each in made.sources for source in context.names.referenced(each)]
    twice = next((source for source in names if names.count(source) > 1), None)
    if twice is not None:
        _impossible(context, statement, f"`{name}` combines `{twice}` twice", "name it once")
    return tuple(dict.fromkeys(names))


def _followed(
    context: DraftContext,
    statement: Node,
    declared: Declared,
    member: tuple[str, int | None],
    followed: NodeRef,
) -> tuple[str, ...]:
    """The node whose weights `member`, a name and maybe its index in an array, has."""
    name, position = member
    sources = tuple(context.names.referenced(followed))
    if position is not None and len(sources) > position:
        size = len(context.names.members[declared.name])
        if size != len(sources):
            message = f"`{declared.name}` has {size} nodes and is made of {len(sources)}"
            _impossible(context, statement, message, "leave the size out")
        return sources[position : position + 1]
    if len(sources) > 1:
        message = f"`{name}` is one node and is made of {len(sources)}"
        fix = f"write `{followed.name}[0]` for one of them"
        _impossible(context, statement, message, fix)
    return sources[:1]


def _gate_node(context: DraftContext, statement: Node, place: Tap | None) -> str | None:
    """The node that a learned mix looks at."""
    if place is None or place.node is None:
        return None
    nodes = context.names.referenced(place.node)
    if len(nodes) > 1:
        array = place.node.name
        message = f"the gate looks at one node, and `{array}` has {len(nodes)}"
        _impossible(context, statement, message, f"name one: `{array}[0].{place.path}`")
    return nodes[0] if nodes else None


def _impossible(context: DraftContext, statement: Node, message: str, fix: str) -> None:
    context.resolver.complain("E408", message, statement.network.span, fix)


def check_derived(context: DraftContext) -> None:
    """Whether derived nodes are made of what they can be made of; complains if not."""
    circle = _check_cycles(context)
    for derived in context.draft.derived.values():
        if derived.name not in circle:
            _check_sources(context, derived)


def _check_sources(context: DraftContext, derived: DraftDerived) -> None:
    draft, made = context.draft, derived.made
    if made.follows:
        for source in derived.sources:
            if source in draft.derived:
                message = f"`{derived.name}` follows the weights of `{source}`, which has none"
                fix = f"`{made.word}` is made of a network node"
                context.resolver.complain("E408", message, derived.span, fix)
    if made.gate_tap is not None and derived.by is not None:
        check_tap(context, derived.by, made.gate_tap.path, derived.span)
        _check_features(context, derived, [derived.by])
    if made.reads_features:
        _check_features(context, derived, derived.sources)
    if made.differs_by_destination and made.leaves_out_destination and len(derived.sources) == 1:
        message = f"`{derived.name}` leaves out its only member, `{derived.sources[0]}`"
        fix = "leave `others` out, or combine more nodes"
        context.resolver.complain("E408", message, derived.span, fix)


def _check_features(context: DraftContext, derived: DraftDerived, nodes: Sequence[str]) -> None:
    """Whether nodes have features: those with a network do; complains if not."""
    for node in nodes:
        other = context.draft.derived.get(node)
        if other is not None and not other.made.follows:
            why = f"and `{other.made.word}` has none"
            message = f"`{derived.name}` reads the features of `{node}`, {why}"
            fix = "name a network node, or an `ema` or `copy` of one"
            context.resolver.complain("E408", message, derived.span, fix)


def _check_cycles(context: DraftContext) -> Sequence[str]:
    """No node is made from itself, through others or not; returns the first that are."""
    derived = context.draft.derived
    sound: set[str] = set()
    for start in derived:
        path: list[str] = []
        if (found := _circle(start, derived, sound, path)) is not None:
            through = " and ".join(f"`{name}`" for name in found[1:])
            message = f"`{found[0]}` is made from itself" + (
                f" through {through}" if through else ""
            )
            span = derived[found[0]].span
            context.resolver.complain("E408", message, span, "leave one of them out")
            return found
    return ()


def _circle(
    name: str, derived: dict[str, DraftDerived], sound: set[str], path: list[str]
) -> list[str] | None:
    if name in path:
        return path[path.index(name) :]
    if name in sound or name not in derived:
        return None
    path.append(name)
    for source in derived[name].needs:
        if (found := _circle(source, derived, sound, path)) is not None:
            return found
    path.pop()
    sound.add(name)
    return None
