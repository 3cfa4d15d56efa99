"""The taps of a node's network, as far as the text tells them, for completion."""

from ktgdsl.editor.document import Document
from ktgdsl.plan.model import FOLLOWERS, LABEL, LOGITS
from ktgdsl.syntax.tree import CallExpression, List, Node, Value
from ktgdsl.vocabulary.call import BEFORE_RELU
from ktgdsl.vocabulary.networks import STAGES, Derived, Resnet, Wrn, expand_shorthand
from ktgdsl.vocabulary.registry import entry


def taps(document: Document, node: str) -> list[str]:
    """Completions after the dot of a node, `label` or `*`; for "", of both ends of an edge."""
    if node in STAGES:  # `a.stage2.`
        return [BEFORE_RELU.removeprefix(".")]
    if node == LABEL:
        return sorted({head for each in _nodes(document) for head in _heads(each)})
    found = _declaration(document, node)
    seen = {node}
    while found is not None and (source := _followed(document, found)) not in ("", *seen):
        seen.add(source)
        found = _declaration(document, source)
    if found is None:
        return [*STAGES, *taps(document, LABEL)] if node in ("", "*") else []
    return [*_stages(document, found), *_heads(found)]


def _nodes(document: Document) -> list[Node]:
    graphs = [each.tree.graph for each in document.files if each.tree is not None]
    return [n for g in graphs if g is not None for n in g.statements if isinstance(n, Node)]


def _declaration(document: Document, name: str) -> Node | None:
    return next((n for n in _nodes(document) if any(d.name == name for d in n.names)), None)


def _network(document: Document, node: Node) -> Value:
    """The network as it is written, or what the `let` that it names stands for."""
    value, seen = node.network, set[str]()
    while isinstance(value, CallExpression) and value.name in document.lets:
        if value.name in seen:
            break
        seen.add(value.name)
        value = document.lets[value.name].value
    return value


def _followed(document: Document, node: Node) -> str:
    """The node whose weights one has, "" for others."""
    network = _network(document, node)
    if isinstance(network, CallExpression) and network.name in FOLLOWERS and network.arguments:
        first = network.arguments[0].value
        return getattr(first, "name", "")
    return ""


def _stages(document: Document, node: Node) -> list[str]:
    network = _network(document, node)
    name = network.name if isinstance(network, CallExpression) else None
    if name is None:  # a choice: of our networks, mostly
        return list(STAGES)
    if expand_shorthand(name) or name in (Resnet.word, Wrn.word):
        return list(STAGES)
    found = entry("network", name)
    return [LOGITS] if found is not None and issubclass(found, Derived) else []


def _heads(node: Node) -> list[str]:
    lists = [s.value for s in node.settings if s.name == "heads" and isinstance(s.value, List)]
    return [i.name for each in lists for i in each.items if isinstance(i, CallExpression)]
