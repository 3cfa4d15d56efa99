"""What the names of a spec stand for, as its plan has it: `let`s, nodes, edges and settings."""

from collections.abc import Sequence

from ktgdsl.diagnostics.diagnostic import Subject
from ktgdsl.editor.document import Document
from ktgdsl.lowering.pydantic_errors import quoted
from ktgdsl.lowering.values import INVALID, Scope
from ktgdsl.plan.model import Edge, Plan
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
    """The live edges of the statement at a place, with losses and gates; "" where none stands."""
    plan, tree = document.plan, document.compiled.tree
    graph = tree.graph if tree is not None else None
    path = document.source.path
    statements = [s for s in graph.statements if isinstance(s, EdgeStatement)] if graph else []
    here = [s for s in statements if s.span.path == path and s.span.start <= offset <= s.span.end]
    if plan is None or tree is None or not here:
        return ""
    from_here = [e for e in plan.graph.edges if span_of(tree, _subject(e)) == here[-1].span]
    lines = [f"- `{edge}`: `{terms_text(edge)}`{_scale(edge)}" for edge in from_here]
    return _listed(plan, lines) or "Nothing is left of this edge: see `ktgc plan`."


def _subject(edge: Edge) -> Subject:
    return Subject(edge=edge.key)


def _scale(edge: Edge) -> str:
    return "" if edge.scale == 1 else f", times {edge.scale:.6g}"


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


def _listed(plan: Plan, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    more = [f"- and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    where = ["At the first valid point of the space:\n"] if plan.space is not None else []
    return "\n".join([*where, *lines[:_MOST], *more])
