"""The losses that a space leaves open, as text: `kl(T=1 | 2 | 4)`, `kl | mse`, `kl(T=1 .. 4)`."""

from collections.abc import Mapping, Sequence
from typing import Any

from ktgdsl.plan.model import Call, Draw, Edge, Part, Plan, Space
from ktgdsl.space.unparse_calls import added, arguments_text, call_text, value_text, weighted

_Pair = tuple[str, str]

_SHOWN = 4
"""How many edges a note names."""


def open_losses(space: Space | None, plans: Sequence[Plan]) -> dict[_Pair, str]:
    """The alternatives of an edge's losses as text, by its pair, where points of a space differ.

    `plans` are points in which every option occurs, and both ends of every range.
    """
    if space is None:
        return {}
    variants: dict[_Pair, list[Edge]] = {}
    for edge in (edge for plan in plans for edge in plan.graph.edges):
        variants.setdefault(edge.key, []).append(edge)
    texts = {}
    for pair, edges in variants.items():
        if len({_losses(edge) for edge in edges}) > 1:
            texts[pair] = _alternatives(edges, space.draws)
    return texts


def notes(open_texts: Mapping[_Pair, str], edges: Sequence[Edge]) -> list[str]:
    """A line for each text, with the edges that have it."""
    of_text: dict[str, list[Edge]] = {}
    for edge in edges:
        if edge.key in open_texts:
            of_text.setdefault(open_texts[edge.key], []).append(edge)
    return [f"{_named(found, edges)}: {text}" for text, found in of_text.items()]


def _named(found: Sequence[Edge], edges: Sequence[Edge]) -> str:
    """Some edges in words, or by name."""
    for what, own in (
        ("every edge from the labels", [edge for edge in edges if edge.from_label]),
        ("every edge between nodes", [edge for edge in edges if edge.transfers]),
    ):
        if len(own) > 1 and list(found) == own:
            return what
    names = [" → ".join(filter(None, edge.key)) for edge in found]
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _losses(edge: Edge) -> str:
    return ", ".join(" + ".join(map(str, term.parts)) for term in edge.terms)


def _alternatives(edges: Sequence[Edge], draws: Sequence[Draw]) -> str:
    """All that the losses may be; argument by argument where they are the same losses."""
    shapes = {tuple(tuple(p.loss.name for p in t.parts) for t in edge.terms) for edge in edges}
    if len(shapes) > 1:
        return " | ".join(dict.fromkeys(_text(edge) for edge in edges))
    terms = zip(*(edge.terms for edge in edges), strict=True)
    return ", ".join(
        added([_part(parts, draws) for parts in zip(*(t.parts for t in same), strict=True)])
        for same in terms
    )


def _text(edge: Edge) -> str:
    return ", ".join(
        added([weighted(part.coefficient, call_text("loss", part.loss)) for part in term.parts])
        for term in edge.terms
    )


def _part(parts: Sequence[Part], draws: Sequence[Draw]) -> str:
    loss = _call([part.loss for part in parts], draws)
    coefficients = [part.coefficient for part in parts]
    if len(set(coefficients)) == 1:
        return weighted(coefficients[0], loss)
    return f"({_values(coefficients, draws)}) * {loss}"


def _call(calls: Sequence[Call], draws: Sequence[Draw]) -> str:
    """One loss with arguments that differ."""
    texts = [list(arguments_text("loss", call)) for call in calls]
    common = [text for text in texts[0] if all(text in each for each in texts)]
    names = dict.fromkeys(
        text.partition("=")[0] for each in texts for text in each if text not in common
    )
    differing = [
        f"{name}={_values([call.arguments.get(name) for call in calls], draws)}" for name in names
    ]
    arguments = ", ".join([*common, *differing])
    return f"{calls[0].name}({arguments})" if arguments else calls[0].name


def _values(values: Sequence[Any], draws: Sequence[Draw]) -> str:
    """The values as a choice, or as a range where no draw has them as its options."""
    distinct = [each for i, each in enumerate(values) if each not in values[:i]]
    texts = [value_text(each) for each in distinct]
    for options in (draw.options for draw in draws):
        if {*texts} <= {*options}:
            return " | ".join(option for option in options if option in texts)
    numbers = [each for each in distinct if isinstance(each, int | float)]
    if len(numbers) < len(distinct) or all(draw.options for draw in draws):
        return " | ".join(texts)
    return f"{min(numbers):.6g} .. {max(numbers):.6g}"
