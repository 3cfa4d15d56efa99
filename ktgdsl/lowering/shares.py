"""Lowers `share` statements: layers that several networks have in common."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, cast

from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.draft import DraftContext, DraftNode, DraftShare
from ktgdsl.lowering.taps import check_tap
from ktgdsl.syntax.tree import CallExpression, List, ShareStatement
from ktgdsl.vocabulary.call import BEFORE_RELU
from ktgdsl.vocabulary.networks import STAGES, Resnet, Wrn
from ktgdsl.vocabulary.registry import settings_of

if TYPE_CHECKING:
    from ktgdsl.vocabulary.rare_settings import ShareSettings


def add_shares(context: DraftContext, statements: list[ShareStatement]) -> None:
    """All shares of a graph, merged where they overlap."""
    for statement in statements:
        _add(context, statement)
    context.draft.shares = merged(context.draft.shares)


def _add(context: DraftContext, statement: ShareStatement) -> None:
    """Add a share; what is wrong with it is left out and complained about."""
    draft, resolver = context.draft, context.resolver
    place = "share." + ",".join(reference.name for reference in statement.names)
    meant = [context.whole_nodes(reference, place) for reference in statement.names]
    names = [name for each in meant for name in each]
    substituted = context.settings(statement.settings, place)
    cls = cast("type[ShareSettings]", settings_of("share"))
    settings = resolver.settings(cls, substituted, "share", statement.span)
    start = statement.span.start
    span = statement.span._replace(end=start + len("share"))
    derived = [name for name in names if name in draft.derived]
    if derived:
        message = f"`{derived[0]}` is made from other nodes and has no layers to share"
        _refuse(context, message, span, "networks share layers")
        return
    names = list(dict.fromkeys(name for name in names if name in draft.nodes))
    if settings is None or not names or not all(meant):
        return
    layers = _in_order(dict.fromkeys(layer.path for layer in settings.layers))
    within = [layer for layer in layers if layer.endswith(BEFORE_RELU)]
    if within:
        stage = within[0].removesuffix(BEFORE_RELU)
        message = f"`{within[0]}` is a place inside of a layer, which is shared as a whole"
        _refuse(context, message, span, f"write `{stage}`")
        return
    found = [_everywhere(context, names, layer, statement) for layer in layers]
    if len(names) < 2:
        _refuse(context, f"`{names[0]}` shares its layers with no other node", span, "name two")
    elif any(_clashes(share, names, layers, settings.grad) for share in draft.shares):
        message = "two shares of the same layers combine their gradients in different ways"
        _refuse(context, message, span, "`grad` has to be the same in both")
    elif all(found) and _sharable(context, names, layers, span):
        draft.shares.append(DraftShare(tuple(names), layers, settings.grad, span))


def _everywhere(
    context: DraftContext, names: list[str], layer: str, statement: ShareStatement
) -> bool:
    """Whether all nodes have a layer; complains about the first that has not."""
    spans = {
        item.name: item.span
        for setting in statement.settings
        if isinstance(setting.value, List)
        for item in setting.value.items
        if isinstance(item, CallExpression)
    }
    span = spans.get(layer, statement.span)
    return all(check_tap(context, name, layer, span) for name in names)


def _in_order(layers: Iterable[str]) -> tuple[str, ...]:
    """Layers from the input on, as far as that is known; others as they are written."""
    known = {name: position for position, name in enumerate(STAGES)}
    return tuple(sorted(layers, key=lambda layer: known.get(layer, 0)))


def _clashes(share: DraftShare, names: list[str], layers: tuple[str, ...], grad: str) -> bool:
    overlap = set(share.nodes) & set(names) and set(share.layers) & set(layers)
    return bool(overlap) and share.grad != grad


def _sharable(context: DraftContext, names: list[str], layers: tuple[str, ...], span: Span) -> bool:
    """Whether the layers are the same in all networks, and can be computed once."""
    first, *others = (context.draft.nodes[name] for name in names)
    if isinstance(first.network, Resnet | Wrn):
        expected = STAGES[: len(layers)]
        if set(layers) != set(expected):
            differing = ", ".join(expected)
            message = "shared layers begin at the input, or they could not be computed once"
            _refuse(context, message, span, f"such as `layers = [{differing}]`")
            return False
    for other in others:
        if not _alike(first, other, layers):
            differing = " and ".join(f"`{layer}`" for layer in layers)
            message = (
                f"`{first.name}` and `{other.name}` differ in {differing}, so they cannot share"
            )
            _refuse(context, message, span, "nodes with equal networks can share all layers")
            return False
    return True


def _alike(first: DraftNode, other: DraftNode, layers: tuple[str, ...]) -> bool:
    one, two = first.network, other.network
    if one == two:
        return True
    if set(layers) != {"stem"}:
        return False
    match one, two:
        case Resnet(), Resnet():
            return (one.width, one.stride) == (two.width, two.stride)
        case Wrn(), Wrn():  # whose first convolution has 16 channels
            return one.stride == two.stride
    return False


def _refuse(context: DraftContext, message: str, span: Span, fix: str) -> None:
    context.resolver.complain("E409", message, span, fix)


def merged(shares: list[DraftShare]) -> list[DraftShare]:
    """Shares with a layer and a node in common as one, layer by layer."""
    groups: dict[str, list[list[str]]] = {}
    for share in shares:
        for layer in share.layers:
            of_layer = groups.setdefault(layer, [])
            touching = [group for group in of_layer if set(group) & set(share.nodes)]
            nodes = [name for group in touching for name in group] + list(share.nodes)
            of_layer[:] = [group for group in of_layer if group not in touching]
            of_layer.append(list(dict.fromkeys(nodes)))
    result: dict[tuple[str, ...], list[str]] = {}
    for layer, of_layer in groups.items():
        for group in of_layer:
            result.setdefault(tuple(group), []).append(layer)
    return [
        DraftShare(nodes, tuple(layers), *_like(shares, nodes)) for nodes, layers in result.items()
    ]


def _like(shares: list[DraftShare], nodes: tuple[str, ...]) -> tuple[Literal["sum", "mean"], Span]:
    """The `grad` and the place of a merged share: those of its first part."""
    first = next(share for share in shares if set(share.nodes) <= set(nodes))
    return first.grad, first.span
