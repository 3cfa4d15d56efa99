"""A plan for people: nodes, edges, what was dropped and every setting, as plain text."""

from collections.abc import Iterable, Mapping, Sequence

from ktgdsl.language.syntax import Block, File
from ktgdsl.plan.model import Call, Edge, Node, Plan
from ktgdsl.vocabulary.networks import shortest


def describe(plan: Plan, origins: Mapping[str, str]) -> str:
    """The plan as aligned columns, every default written out.

    `origins` says where a setting such as "train.epochs" was given, for those that were.
    """
    graph = plan.graph
    targets = ", ".join(graph.targets)
    dropped = [(d.kind, d.name, d.reason) for d in graph.dropped]
    sections = [
        f"graph {graph.name}, for {targets}\ndigest {plan.digest}",
        _section("nodes", [_node(plan, node) for node in graph.nodes]),
        _section("edges", [_edge(edge) for edge in graph.edges]),
        _section("dropped", dropped),
        _section("data", _traced("data", _data(plan), origins)),
        _section("train", _traced("train", _train(plan), origins)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _section(title: str, rows: Sequence[Sequence[str]]) -> str:
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


def _node(plan: Plan, node: Node) -> tuple[str, str, str, str]:
    role = "target" if node.name in plan.graph.targets else "auxiliary"
    if node.learns:
        state = "learns"
    elif node.pretrained:
        state = f"pre-trained on the labels, then frozen ({node.frozen}), {node.mode} mode"
    else:
        state = f"frozen ({node.frozen}), {node.mode} mode"
    if node.weights is not None:
        state += f", from {node.weights.path}"
    train = plan.train
    if (node.optimizer, node.schedule) != (train.optimizer, train.schedule):
        state += f", {node.optimizer}, {node.schedule}"
    return node.name, shortest(node.network), role, state


def _edge(edge: Edge) -> tuple[str, str, str]:
    scale = "" if edge.scale == 1 else f"times {edge.scale:.6g}"
    return f"{edge.source} -> {edge.destination}", terms(edge), scale


def terms(edge: Edge) -> str:
    """The losses of an edge and their gates."""
    return ", ".join(
        f"{' + '.join(str(part) for part in term.parts)} via {term.gate}" for term in edge.terms
    )


def _traced(
    block: str, rows: Iterable[tuple[str, str]], origins: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    facts = {"samples": ""}  # what nobody sets comes from nowhere
    return [
        (name, told, origins.get(f"{block}.{name}", facts.get(name, "default")))
        for name, told in rows
    ]


def origins(file: File) -> dict[str, str]:
    """Where the settings of the blocks were given: a file, or `--set` on the command line."""
    found: dict[str, str] = {}
    for block in file.statements:
        if isinstance(block, Block) and block.name is None:
            places = {setting.name: setting.value.span for setting in block.settings}
            if block.subject is not None:
                places["source"] = block.subject.span
            for name, span in places.items():
                command = span.path.startswith("--set ")
                found[f"{block.kind}.{name}"] = "--set" if command else span.path
    return found


def _data(plan: Plan) -> list[tuple[str, str]]:
    data = plan.data
    channels, height, width = data.shape
    held = "held out" if data.holdout else "of the training samples, not held out of a run"
    return [
        ("source", f"{data.source}, {data.classes} classes, {channels}x{height}x{width}"),
        ("samples", f"{data.train_samples:,} to train, {data.test_samples:,} to test"),
        ("batch", _batch(plan)),
        ("validation", f"{data.validation:,} {held}"),
        ("holdout", str(data.holdout).lower()),
        ("augment", data.augment),
    ]


def _batch(plan: Plan) -> str:
    batch, samples = plan.data.batch, plan.data.learned_samples
    if batch > samples:
        return f"{batch:,}, and there are {samples:,} samples: one step an epoch, of all of them"
    steps = f"{plan.data.steps_per_epoch} step{'s' * (plan.data.steps_per_epoch > 1)}"
    return f"{batch:,}, so {steps} an epoch, whole batches only"


def _train(plan: Plan) -> list[tuple[str, str]]:
    train = plan.train
    notes = {
        "epochs": f", {plan.steps:,} steps",
        "update": " (all nodes from one forward)",
        "reduce": " (of a loss over the batch)",
        "aggregate": " (of the transfer losses into a node)",
    }
    return [
        (name, told(getattr(train, name)) + notes.get(name, ""))
        for name in type(train).model_fields
    ]


def told(value: object) -> str:
    """A setting's value as it would be written, large numbers with separators."""
    if value is None:
        return "none"
    if isinstance(value, Call):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
