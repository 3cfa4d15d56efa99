"""What the names of a spec resolve to in its plan, as text: `let`s, nodes, edges, settings."""

from collections.abc import Iterable, Iterator
from itertools import islice

from ktgdsl.diagnostics.diagnostic import Subject
from ktgdsl.editor.document import Document
from ktgdsl.lowering.pydantic_errors import quoted
from ktgdsl.lowering.values import INVALID, Scope
from ktgdsl.plan.model import Plan
from ktgdsl.report.describe import derived_row, node_row, phase_row, terms_text
from ktgdsl.report.describe_settings import value_text
from ktgdsl.syntax.places import span_of
from ktgdsl.syntax.tree import Edge as EdgeStatement
from ktgdsl.syntax.unparse import Unparser

_MOST = 12
"""Nodes or edges that are listed."""


def let_text(document: Document, name: str) -> str:
    """A `let` as it is written, and what it stands for; "" where it has no value."""
    let = document.lets.get(name)
    if let is None:
        return ""
    spell = Unparser().value
    written = spell(let.value)
    parts = [f"```ktg\nlet {'each ' if let.each else ''}{name} = {written}\n```"]
    scope = Scope(document.lets)
    plain = scope.plain(let.value)
    resolved = quoted(plain) if plain is not INVALID else spell(scope.expand(let.value))
    parts += [f"It is `{resolved}`."] if resolved != written else []
    parts += ["It is drawn afresh at each place that says it."] if let.each else []
    return "\n\n".join(parts)


def node_text(document: Document, name: str) -> str:
    """What the nodes of a name are: networks, sizes, whether they learn; "" without a plan."""
    plan = document.plan
    if plan is None:
        return ""
    rows: list[tuple[str, tuple[str, ...]]] = [
        (node.name, node_row(plan, node)) for node in plan.graph.nodes
    ]
    rows += [(node.name, derived_row(plan, node)) for node in plan.graph.derived]
    rows += [
        (each.name, (each.name, "dropped", each.reason))
        for each in plan.graph.dropped
        if each.kind == "node"
    ]
    found = [row for each, row in rows if each.partition("[")[0] == name]
    return _listed(plan, [f"- `{row[0]}`: {'; '.join(row[1:])}" for row in found])


def edge_text(document: Document, offset: int) -> str:
    """The edges of the statement at a place, with losses and gates; "" where none stands."""
    plan, tree = document.plan, document.compiled.tree
    statement = _edge_at(document, offset)
    if plan is None or tree is None or statement is None:
        return ""

    def lines() -> Iterator[str]:
        for edge in plan.graph.edges:
            if span_of(tree, Subject(edge=edge.key)) == statement.span:
                scale = "" if edge.scale == 1 else f", times {edge.scale:.6g}"
                yield f"- `{edge}`: `{terms_text(edge)}`{scale}"
        for each in plan.graph.dropped:
            source, _, destination = each.name.rpartition(" -> ")
            key = (source, destination)
            if each.kind == "edge" and span_of(tree, Subject(edge=key)) == statement.span:
                yield f"- `{each.name}`: dropped; {each.reason}"

    return _listed(plan, lines()) or "No edge of the plan comes from here."


def _edge_at(document: Document, offset: int) -> EdgeStatement | None:
    """The statement of edges at a place of the text."""
    tree = document.tree
    for each in tree.graph.statements if tree is not None and tree.graph is not None else ():
        if isinstance(each, EdgeStatement) and each.span.start <= offset <= each.span.end:
            return each
    return None


def graph_text(document: Document) -> str:
    """How large the graph is; "" without a plan."""
    return "" if document.plan is None else f"`{str(document.plan).strip('<>')}`"


def phase_text(document: Document, name: str) -> str:
    """What a phase is; "" without a plan."""
    plan = document.plan
    found = [p for p in plan.phases if p.name == name] if plan is not None else []
    return "\n\n".join(f"{', '.join(phase_row(phase)[1:])}." for phase in found)


def setting_text(document: Document, block: str, name: str) -> str:
    """The value that a setting of a block has in the plan; "" where it is not there."""
    settings = getattr(document.plan, block, None)
    value = getattr(settings, name, None)
    return f"Here it is `{value_text(value)}`." if value is not None else ""


def _listed(plan: Plan, lines: Iterable[str]) -> str:
    """The first lines of a list, and whether there are more; "" for none."""
    found = list(islice(lines, _MOST + 1))
    if not found:
        return ""
    more = ["- and more"] if len(found) > _MOST else []
    where = ["At the first valid point of the space:\n"] if plan.space is not None else []
    return "\n".join([*where, *found[:_MOST], *more])
