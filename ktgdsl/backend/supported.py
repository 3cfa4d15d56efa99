"""What the language has and this back end does not do yet, found in a plan. No torch."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.errors import RunError
from ktgdsl.plan.model import LOGITS, Gate, Plan, Product, Sum, Weight, node_of, tap_of
from ktgdsl.plan.model import Call as Word
from ktgdsl.space.space import every_option
from ktgdsl.syntax.tree import (
    Block,
    CallExpression,
    Choice,
    Edge,
    File,
    Graph,
    Let,
    Node,
    Range,
    Reference,
    Setting,
    ShareStatement,
    Syntax,
    Value,
)
from ktgdsl.syntax.walk import walk

NETWORKS = frozenset({"resnet", "wrn", "python", "torchvision", "timm"})
LOSSES = frozenset({"ce", "kl", "reverse_kl", "js", "mse", "cosine_distance"})
GATES = frozenset({"linear", "cosine", "correct", "until", "after", "rampup"})
DATASETS = frozenset(
    {
        "digits",
        "mnist",
        "fashion_mnist",
        "cifar10",
        "cifar100",
        "svhn",
        "tiny_imagenet",
        "folder",
        "python",
    }
)
"""The words that there are functions for; a test holds them against the back end."""


class Missing(NamedTuple):
    """A part of a plan that cannot be trained yet: what it is, and the word that says it.

    `kind` is what the word is, where one word may be of several kinds: `python` is a network,
    a loss and a gate.
    """

    what: str
    word: str
    kind: str = ""


def missing(plan: Plan) -> Iterator[Missing]:
    """What of a plan this version cannot train, in no special order."""
    graph, data = plan.graph, plan.data
    for node in graph.nodes:
        if node.network.name not in NETWORKS:
            yield _word("network", node.network)
        if node.device is not None:
            yield Missing("a device of a node's own", "device")
    for derived in graph.derived:
        yield Missing(f"a node made by `{derived.made.name}`", derived.made.name, "network")
    if graph.shares:
        yield Missing("`share`", "share")
    if plan.phases:
        yield Missing("training in phases", "phase")
    for edge in graph.edges:
        if edge.unary:
            yield Missing("an edge without a source", "unary")
        elif {tap_of(edge.source), edge.destination.tap} != {LOGITS}:
            yield Missing("a tap inside of a network", "tap")
        elif node_of(edge.source) == edge.destination.node:
            yield Missing("an edge from one view of a node to the other", "views")
        for term in edge.terms:
            yield from (_word("loss", p.loss) for p in term.parts if p.loss.name not in LOSSES)
            yield from (_word("gate", gate) for gate in _gates(term.gate) if gate.name not in GATES)
    if data.source.name not in DATASETS:
        yield _word("data set", data.source)
    if data.views > 1:
        yield Missing("this value of the setting `views`", "views")


def _word(kind: str, call: Word) -> Missing:
    return Missing(f"the {kind} `{call.name}`", call.name, kind)


def _gates(gate: Gate) -> Iterator[Word]:
    match gate:
        case Weight():
            yield gate.gate
        case Product():
            for factor in gate.factors:
                yield from _gates(factor)
        case Sum():
            for term in gate.terms:
                yield from _gates(term)


def require_supported(plan: Plan, tree: File | None = None) -> None:
    """Raise RunError where a plan cannot be trained by this version, at its places in `tree`.

    E901 for what is not supported yet, E506 for a space, which has to be searched.
    """
    if plan.space is not None:
        span = None if tree is None else _first(tree, lambda part: isinstance(part, Choice | Range))
        draw = plan.space.draws[0]
        message = f"this is a search space: `{draw.name}` is open, {draw}"
        fix = "`ktgc search` finds the best graph in it; give one value to make it a spec"
        raise RunError([Diagnostic("E506", message, span, fix)])
    _refuse(missing(plan), tree)


def require_searchable(plan: Plan, tree: File | None = None) -> None:
    """Raise RunError where a plan is no space that this version can search.

    E506 where nothing is open, E901 for what is not supported yet in any of the options.
    """
    if plan.space is None or plan.search is None:
        message = f"there is nothing to search: `{plan.graph.name}` leaves no value open"
        fix = "`ktgc run` trains it; in a space a value is open, such as `via linear | correct`"
        span = None if tree is None or tree.graph is None else tree.graph.span
        span = span and span._replace(end=span.start + len("graph"))
        raise RunError([Diagnostic("E506", message, span, fix)])
    _refuse((each for option in every_option(plan) for each in missing(option)), tree)


def _refuse(lacking: Iterable[Missing], tree: File | None) -> None:
    found = [
        Diagnostic(
            "E901",
            f"{each.what} is not supported yet",
            None if tree is None else _place(tree, each.word, each.kind),
            "it is part of the language, and this version can check it but not train it",
        )
        for each in dict.fromkeys(lacking)
    ]
    if found:
        raise RunError(sorted(found, key=lambda each: each.span.start if each.span else -1))


def _place(tree: File, word: str, kind: str) -> Span | None:
    """Where a file says what is missing: where words of the kind stand, else in a `let`."""

    def says(part: Syntax) -> bool:
        match part:
            case CallExpression() | Setting():
                return part.name == word
            case Block():
                return part.kind == word
            case ShareStatement():
                return word == "share"
            case Edge():
                return word == "unary" and part.arrow is None
            case Reference(tap=Syntax()):
                return word == "tap"
        return False

    named = [s for s in tree.statements if isinstance(s, Let) and kind]
    places = (*_standing(tree, kind), *named)
    found = next((p.span for part in places for p in walk(part) if says(p)), None)
    found = found or _first(tree, says)
    if found is None or word not in ("phase", "share"):
        return found
    return found._replace(end=found.start + len(word))


def _standing(tree: File, kind: str) -> Iterator[Value]:
    """The values of a file in which a word of the kind can stand."""
    for part in tree.graph.statements if tree.graph else ():
        if isinstance(part, Node) and kind == "network":
            yield part.network
        elif isinstance(part, Edge) and kind in ("loss", "gate"):
            for term in part.terms:
                value = term.loss if kind == "loss" else term.gate
                if value is not None:
                    yield value
    data = tree.block("data")
    if kind == "data set" and data is not None and data.subject is not None:
        yield data.subject


def _first(tree: File, wanted: Callable[[Syntax], bool]) -> Span | None:
    """The first such part, in the graph before the rest, since a `let` may not be used."""
    parts = sorted(tree.statements, key=lambda statement: not isinstance(statement, Graph))
    return next((p.span for part in parts for p in walk(part) if wanted(p)), None)
