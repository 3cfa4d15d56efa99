"""Lowers `node` statements: networks, and nodes derived from other nodes."""

from ktgdsl.lowering.derived import check_derived, derive
from ktgdsl.lowering.draft import DraftContext, DraftNode
from ktgdsl.lowering.heads import declared_heads
from ktgdsl.plan.model import FOLLOWERS
from ktgdsl.syntax.tree import All, CallExpression, Declared, Node, Reference
from ktgdsl.vocabulary.networks import Derived, Network
from ktgdsl.vocabulary.settings import NodeSettings


def add_nodes(context: DraftContext, statements: list[Node]) -> None:
    """All nodes of a graph; declared first, since a statement may name those of a later one."""
    names = context.names
    fresh: list[tuple[Node, list[Declared]]] = []
    for statement in statements:
        new = []
        for declared in statement.names:
            if declared.name not in names.members:  # declared twice: `validate` complains
                _declare(context, declared)
                new.append(declared)
        fresh.append((statement, new))
    for statement, new in fresh:
        _lengthen(context, statement, new)
    context.resolver.node_check = names.nodes
    for statement, new in fresh:
        _add(context, statement, new)
    context.draft.heads.update(declared_heads(context.draft))
    if context.draft.derived:
        check_derived(context)


def _declare(context: DraftContext, declared: Declared) -> None:
    size = declared.size
    if size is not None:
        size = context.substitution.substitute_size(size, f"node.{declared.name}.count")
    context.names.declare(declared, size)


def _lengthen(context: DraftContext, statement: Node, new: list[Declared]) -> None:
    """`node e = ema(h)` of an array `h` is an array as long."""
    made = context.resolver.expand(statement.network)
    if not isinstance(made, CallExpression) or made.name not in FOLLOWERS:
        return
    of = next((a.value for a in made.arguments if a.name in (None, "of")), None)
    if (isinstance(of, CallExpression) and not of.arguments) or (
        isinstance(of, Reference) and isinstance(of.index, All)
    ):
        name = of.name
    else:
        return
    if name in context.names.arrays:
        for declared in new:
            if declared.size is None:
                context.names.add(declared, len(context.names.members[name]))


def _add(context: DraftContext, statement: Node, new: list[Declared]) -> None:
    parts = (statement.network, *statement.settings)
    is_open = any(context.substitution.is_open(part) for part in parts)
    each = is_open and context.substitution.differs_by_place
    once = None if each else _read(context, statement, "node")
    for declared in new:
        for index, name in enumerate(context.names.members[declared.name]):
            network, settings = once or _read(context, statement, f"node.{name}")
            if isinstance(network, Derived):
                context.names.derived.add(declared.name)
            if network is None or settings is None:
                continue
            if isinstance(network, Derived):
                position = index if declared.name in context.names.arrays else None
                derive(context, statement, declared, (name, position), network, settings)
            else:
                weights = next(
                    (s.value.span for s in statement.settings if s.name == "weights"), None
                )
                node = DraftNode(name, network, settings, declared.span, weights)
                context.draft.nodes[name] = node


def _read(
    context: DraftContext, statement: Node, place: str
) -> tuple[Network | None, NodeSettings | None]:
    resolver = context.resolver
    written = context.substitution.substitute(statement.network, place)
    substituted = context.settings(statement.settings, place)
    network = resolver.known_word(written, "network")
    settings = resolver.known_settings(NodeSettings, substituted, "node", statement.span)
    assert network is None or isinstance(network, Network)
    return network, settings
