"""Describes a plan as plain text: nodes, edges, what was dropped, and every setting."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ktgdsl.plan.ensembles import mixer_parameters
from ktgdsl.plan.heads import classes_answered
from ktgdsl.plan.model import (
    DerivedNode,
    Edge,
    Graph,
    Node,
    Phase,
    Plan,
    SharedLayers,
)
from ktgdsl.plan.parameters import parameter_count, total_parameters
from ktgdsl.report.describe_settings import setting_rows
from ktgdsl.report.narrow import blocks
from ktgdsl.vocabulary.networks import Resnet, Wrn, shorthand

if TYPE_CHECKING:
    from ktgdsl.training.datasets.folder_summary import FolderSummary


def describe(plan: Plan, origins: Mapping[str, str], images: "FolderSummary | None" = None) -> str:
    """The plan as aligned columns, every default written out.

    `origins` has the file of each setting that was given, such as "train.epochs"; `images` what
    is known of the data where they are a folder that is not read yet.
    """
    digest = plan.digest  # of the plan as it is: facts of the data are part of it
    if images is not None and images.facts is not None:
        data = plan.data.model_copy(update={"facts": images.facts})
        plan = plan.model_copy(update={"data": data})
    graph = plan.graph
    targets = ", ".join(graph.targets)
    dropped = [(d.kind, d.name, d.reason) for d in graph.dropped]
    nodes = [node_row(plan, node) for node in graph.nodes]
    where = " (at the first valid point)" if plan.space else ""
    title = f"{'space' if plan.space else 'graph'} {graph.name}, for {targets}"
    sections = [
        "\n".join([title, f"digest {digest}", *_total_parameters(plan)]),
        section("open values", open_values(plan)),
        section(f"nodes{where}", nodes + [derived_row(plan, node) for node in graph.derived]),
        section(f"edges{where}", [edge_row(edge) for edge in graph.edges]),
        section("shared layers", [_share(graph, share) for share in graph.shares]),
        section("phases, in order", [phase_row(phase) for phase in plan.phases]),
        section("dropped", dropped),
        *(section(title, rows) for title, rows in setting_rows(plan, origins, images)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def section(title: str, rows: Sequence[Sequence[str]]) -> str:
    """Rows under a title, in columns; nothing where there are none."""
    if not rows:
        return ""
    return "\n".join([title, *(f"  {line}" for line in columns(rows))])


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell."""
    rows = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def fitting_lines(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Rows of cells, a heading first, as columns; where these are wider, a line for each cell."""
    lines = columns(rows)
    if width is None or max(map(len, lines)) <= width:
        return lines
    return blocks(rows[0], rows[1:], width)


def node_row(plan: Plan, node: Node) -> tuple[str, str, str, str]:
    """A node: its name, its network, its role, and whether and how it learns."""
    role = "target" if node.name in plan.graph.targets else "auxiliary"
    if node.learns:
        state = "learns"
    elif node.pretrained:
        state = f"pre-trained on the labels, then frozen ({node.frozen}), {node.mode} mode"
    else:
        state = f"frozen ({node.frozen}), {node.mode} mode"
    if node.weights_file is not None:
        state += f", from {node.weights_file.path}"
    elif node.weights == "own":
        state += ", with its own weights"
    if node.cache == "outputs":
        state += ", outputs kept by sample"
    if node.heads:
        state += f", answers {', '.join(node.heads)}"
    block = plan.pretrain if node.pretrained and plan.pretrain else plan.train
    if (node.optimizer, node.schedule) != (block.optimizer, block.schedule):
        state += f", {node.optimizer}, {node.schedule}"
    return node.name, shorthand(node.network) + _parameters(plan, node), role, state


def _parameters(plan: Plan, node: Node) -> str:
    count = _parameter_count(plan, node)
    return "" if count is None else f" ({count:,} parameters)"


def _parameter_count(plan: Plan, node: Node) -> int | None:
    """None for foreign networks, and while the shape of the images is unknown."""
    if plan.data.facts is None:
        return None
    return parameter_count(node.network, _classes(plan, node), plan.data.shape[0])


def _classes(plan: Plan, node: Node | DerivedNode) -> int:
    return classes_answered(plan.graph, plan.data, node.name)


def _total_parameters(plan: Plan) -> Iterator[str]:
    """A line for several networks whose counts are known."""
    graph, facts = plan.graph, plan.data.facts
    if plan.space is None and facts is not None and len(graph.nodes) > 1:
        total = total_parameters(graph, plan.data)
        if total is not None:
            once = ", shared layers counted once" if graph.shares else ""
            mixers = [
                mixer_parameters(graph, e, _classes(plan, e)) for e in graph.derived if e.optimizer
            ]
            known = [count for count in mixers if count is not None]
            combining = f", and {sum(known):,} that combine them" if known else ""
            yield f"{total:,} parameters in {len(graph.nodes)} networks{once}{combining}"


def derived_text(node: DerivedNode) -> str:
    """A derived node as a spec writes it."""
    arguments = str(node.made).removeprefix(node.made.name).strip("()")
    return f"{node.made.name}({', '.join(filter(None, [*node.sources, arguments]))})"


def derived_row(plan: Plan, node: DerivedNode) -> tuple[str, str, str, str]:
    """A derived node in the same columns."""
    role = "target" if node.name in plan.graph.targets else "auxiliary"
    state = "made from others" if node.sources else "made from the labels"
    text = derived_text(node)
    if node.optimizer is not None:
        state += f", learns how to combine, {node.optimizer}, {node.schedule}"
        facts = plan.data.facts
        count = None if facts is None else mixer_parameters(plan.graph, node, _classes(plan, node))
        text += "" if count is None else f" ({count:,} parameters)"
    return node.name, text, role, state


def _share(graph: Graph, share: SharedLayers) -> tuple[str, str, str]:
    how = f"{share.grad} of the gradients"
    if any(graph.node(name).network.name not in (Resnet.word, Wrn.word) for name in share.nodes):
        how += ", computed by each of them"
    return ", ".join(share.nodes), ", ".join(share.layers), how


def phase_row(phase: Phase) -> tuple[str, ...]:
    """A phase: its name, who learns in it, and its settings."""
    own = [str(call) for call in (phase.optimizer, phase.schedule) if call is not None]
    best = ["goes on with the best epoch"] if phase.take == "best" else []
    stop = [] if phase.stop is None else [f"ends early by {phase.stop}"]
    settings = ", ".join([f"{phase.epochs:,} epochs", *own, *best, *stop])
    return phase.name, f"{', '.join(phase.learn)} learn{'s' * (len(phase.learn) == 1)}", settings


def open_values(plan: Plan) -> list[tuple[str, str]]:
    """The draws of a space, each with its options or its range."""
    return [(draw.name, str(draw)) for draw in plan.space.draws] if plan.space else []


def edge_row(edge: Edge) -> tuple[str, str, str]:
    """An edge, its losses and gates, and the factor of `aggregate`."""
    scale = "" if edge.scale == 1 else f"times {edge.scale:.6g}"
    return str(edge), terms_text(edge), scale


def terms_text(edge: Edge) -> str:
    """The losses of an edge and their gates."""
    return ", ".join(
        f"{' + '.join(str(part) for part in term.parts)} via {term.gate}" for term in edge.terms
    )
