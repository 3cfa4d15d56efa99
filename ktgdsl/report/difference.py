"""The difference of two plans in meaning, side by side."""

from collections.abc import Mapping

from ktgdsl.plan.model import Call, Data, Edge, Node, Phase, Plan, SharedLayers
from ktgdsl.report.describe import derived_text, fitting_lines, open_values, terms_text
from ktgdsl.report.describe_settings import setting_text
from ktgdsl.report.environment_facts import CONTENT
from ktgdsl.vocabulary.networks import shorthand

NOTHING = "-"


Accuracies = Mapping[str, str]
"""The accuracies of a run's nodes as text, by node."""


def difference(
    one: Plan,
    other: Plan,
    names: tuple[str, str] = ("A", "B"),
    reached: tuple[Accuracies, Accuracies] = ({}, {}),
    environments: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    width: int | None = None,
) -> str:
    """Both plans side by side, under their `names`, where they differ; or that they do not.

    `reached` are the accuracies of finished runs, which are shown whether they differ or not, and
    `environments` what they were trained with besides their plans. Where side by side is wider than
    `width`, the plans are below one another.
    """
    first, second = facts(one), facts(other)
    environment_rows = _differing(*environments)
    rows = [*_differing(first, second), *environment_rows]
    rows += [
        (f"accuracy of {node}", reached[0].get(node, NOTHING), reached[1].get(node, NOTHING))
        for node in dict.fromkeys([*reached[0], *reached[1]])
    ]
    lines = fitting_lines([("", *names), *rows], width) if rows else []
    if one.digest == other.digest:
        others = any(name.startswith(CONTENT) for name, *_ in environment_rows)
        lines.append("the same plan, with other data or code" if others else "the same training")
    elif one.canonical_digest == other.canonical_digest:
        lines.append("the same graph: only auxiliary nodes have other names or another order")
    elif first == second:
        lines.append("the same nodes, edges and settings, in another order")
    return "\n".join(lines) + "\n"


def _differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """A row for each name whose values differ."""
    return [
        (name, first.get(name, NOTHING), second.get(name, NOTHING))
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    ]


def facts(plan: Plan) -> dict[str, str]:
    """The plan as flat names and values."""
    graph = plan.graph
    return {
        "targets": ", ".join(graph.targets),
        **{f"node {node.name}": _node(node) for node in graph.nodes},
        **{f"node {node.name}": derived_text(node) for node in graph.derived},
        **{f"edge {edge}": _edge(edge) for edge in graph.edges},
        **{f"shared by {', '.join(s.nodes)}": _share(s) for s in graph.shares},
        **{f"phase {phase.name}": _phase(phase) for phase in plan.phases},
        **_settings("data", plan.data),
        **_settings("train", plan.train),
        **(_settings("pretrain", plan.pretrain) if plan.pretrain else {}),
        **(_settings("search", plan.search) if plan.search else {}),
        **dict(open_values(plan)),
    }


def _settings(block: str, plan: Data) -> dict[str, str]:
    return {f"{block}.{name}": setting_text(name, value) for name, value in plan}


def _node(node: Node) -> str:
    state = "learns" if node.learns else f"frozen, {node.mode} mode"
    weights = f", from {node.weights_file.sha256[:12]}" if node.weights_file else ""
    weights = ", its own weights" if node.weights == "own" else weights
    heads = f", answers {', '.join(node.heads)}" if node.heads else ""
    own: tuple[Call, ...] = (node.optimizer, node.schedule)
    return f"{shorthand(node.network)}, {state}{weights}{heads}, {', '.join(map(str, own))}"


def _share(share: SharedLayers) -> str:
    return f"{', '.join(share.layers)}, {share.grad} of the gradients"


def _phase(phase: Phase) -> str:
    parts = [", ".join(phase.learn), f"{phase.epochs} epochs", phase.optimizer, phase.schedule]
    return ", ".join(str(part) for part in (*parts, phase.take, phase.stop) if part is not None)


def _edge(edge: Edge) -> str:
    return terms_text(edge) if edge.scale == 1 else f"{terms_text(edge)}, times {edge.scale:.6g}"
