"""Refuses plans that cannot be trained or searched, with the place in the spec that is why."""

from collections.abc import Callable, Iterable, Iterator

from ktgdsl.backend.missing import Missing, missing
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.space.space import every_option
from ktgdsl.syntax.tree import (
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
    diagnostics = [
        Diagnostic(
            "E901",
            f"{each.what} is not supported yet",
            None if tree is None else _span_of(tree, each.word, each.kind),
            "it is part of the language, and this version can check it but not train it",
        )
        for each in dict.fromkeys(lacking)
    ]
    if diagnostics:
        raise RunError(sorted(diagnostics, key=lambda each: each.span.start if each.span else -1))


def _span_of(tree: File, word: str, kind: str) -> Span | None:
    """The span of what is missing: where a word of its kind can stand, else in a `let`."""

    def is_missing(part: Syntax) -> bool:
        match part:
            case CallExpression() | Setting():
                return part.name == word
            case ShareStatement():
                return word == "share"
            case Reference(tap=Syntax()):
                return word == "tap"
        return False

    lets = [s for s in tree.statements if isinstance(s, Let) and kind]
    values = (*_values_of_kind(tree, kind), *lets)
    span = next((p.span for value in values for p in walk(value) if is_missing(p)), None)
    span = span or _first(tree, is_missing)
    if span is None or word != "share":
        return span
    return span._replace(end=span.start + len(word))  # the keyword, not all of the block


def _values_of_kind(tree: File, kind: str) -> Iterator[Value]:
    """The values of a file in which a word of the kind can stand."""
    for part in tree.graph.statements if tree.graph else ():
        if isinstance(part, Node) and kind == "network":
            yield part.network
        elif isinstance(part, Edge) and kind in ("loss", "gate"):
            for term in part.terms:
                value = term.loss if kind == "loss" else term.gate
                if value is not None:
                    yield value


def _first(tree: File, wanted: Callable[[Syntax], bool]) -> Span | None:
    """The span of the first such part, in the graph first: a `let` may be unused."""
    parts = sorted(tree.statements, key=lambda statement: not isinstance(statement, Graph))
    return next((p.span for part in parts for p in walk(part) if wanted(p)), None)
