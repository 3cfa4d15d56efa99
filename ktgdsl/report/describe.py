"""Describes a plan as plain text: nodes, edges, what was dropped, and every setting."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ktgdsl.plan.ensembles import mixer_parameters
from ktgdsl.plan.model import (
    Call,
    DataPlan,
    DerivedNode,
    Edge,
    Graph,
    Node,
    Percent,
    Phase,
    Plan,
    SharedLayers,
)
from ktgdsl.plan.parameters import parameter_count, total_parameters
from ktgdsl.syntax.tree import Block, File
from ktgdsl.vocabulary.networks import Resnet, Wrn, shorthand

if TYPE_CHECKING:
    from ktgdsl.training.datasets.folder_summary import FolderSummary

SHOWN_CLASSES = 10
"""Names of classes that are shown."""


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
    nodes = [_node(plan, node) for node in graph.nodes]
    where = " (at the first valid point)" if plan.space else ""
    title = f"{'space' if plan.space else 'graph'} {graph.name}, for {targets}"
    sections = [
        "\n".join([title, f"digest {digest}", *_total_parameters(plan)]),
        section("open values", open_values(plan)),
        section(f"nodes{where}", nodes + [_derived(plan, node) for node in graph.derived]),
        section(f"edges{where}", [_edge(edge) for edge in graph.edges]),
        section("shared layers", [_share(graph, share) for share in graph.shares]),
        section("phases, in order", [_phase(phase) for phase in plan.phases]),
        section("dropped", dropped),
        section("data", _with_origins("data", [*_data(plan), *_images(images)], origins)),
        section("train", _with_origins("train", _train(plan), origins)),
        section("pretrain", _with_origins("pretrain", _pretrain(plan), origins)),
        section("search", _with_origins("search", _search(plan), origins)),
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


def _node(plan: Plan, node: Node) -> tuple[str, str, str, str]:
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
    return parameter_count(node.network, plan.data.classes, plan.data.shape[0])


def _total_parameters(plan: Plan) -> Iterator[str]:
    """A line for several networks whose counts are known."""
    graph, facts = plan.graph, plan.data.facts
    if plan.space is None and facts is not None and len(graph.nodes) > 1:
        total = total_parameters(graph, facts.classes, facts.shape[0])
        if total is not None:
            once = ", shared layers counted once" if graph.shares else ""
            mixers = [
                mixer_parameters(graph, e, facts.classes) for e in graph.derived if e.optimizer
            ]
            known = [count for count in mixers if count is not None]
            combining = f", and {sum(known):,} that combine them" if known else ""
            yield f"{total:,} parameters in {len(graph.nodes)} networks{once}{combining}"


def derived_text(node: DerivedNode) -> str:
    """A derived node as a spec writes it."""
    arguments = str(node.made).removeprefix(node.made.name).strip("()")
    return f"{node.made.name}({', '.join(filter(None, [*node.sources, arguments]))})"


def _derived(plan: Plan, node: DerivedNode) -> tuple[str, str, str, str]:
    role = "target" if node.name in plan.graph.targets else "auxiliary"
    state = "made from others" if node.sources else "made from the labels"
    text = derived_text(node)
    if node.optimizer is not None:
        state += f", learns how to combine, {node.optimizer}, {node.schedule}"
        facts = plan.data.facts
        count = None if facts is None else mixer_parameters(plan.graph, node, facts.classes)
        text += "" if count is None else f" ({count:,} parameters)"
    return node.name, text, role, state


def _share(graph: Graph, share: SharedLayers) -> tuple[str, str, str]:
    how = f"{share.grad} of the gradients"
    if any(graph.node(name).network.name not in (Resnet.word, Wrn.word) for name in share.nodes):
        how += ", computed by each of them"
    return ", ".join(share.nodes), ", ".join(share.layers), how


def _phase(phase: Phase) -> tuple[str, ...]:
    own = [str(call) for call in (phase.optimizer, phase.schedule) if call is not None]
    best = ["goes on with the best epoch"] if phase.take == "best" else []
    stop = [] if phase.stop is None else [f"ends early by {phase.stop}"]
    settings = ", ".join([f"{phase.epochs:,} epochs", *own, *best, *stop])
    return phase.name, f"{', '.join(phase.learn)} learn{'s' * (len(phase.learn) == 1)}", settings


def open_values(plan: Plan) -> list[tuple[str, str]]:
    """The draws of a space, each with its options or its range."""
    return [(draw.name, str(draw)) for draw in plan.space.draws] if plan.space else []


def _search(plan: Plan) -> list[tuple[str, str]]:
    if plan.search is None:
        return []
    notes = {
        "epochs": f" of a full trial, on {plan.search.objective.arguments['on']} samples",
        "confirm": " seeds for the top three" if plan.search.confirm else " (no retraining)",
        "workers": "" if plan.search.workers else " (one a GPU, else one for two cores)",
    }
    return [
        (name, value_text(getattr(plan.search, name)) + notes.get(name, ""))
        for name in type(plan.search).model_fields
    ]


def _edge(edge: Edge) -> tuple[str, str, str]:
    scale = "" if edge.scale == 1 else f"times {edge.scale:.6g}"
    return str(edge), terms_text(edge), scale


def terms_text(edge: Edge) -> str:
    """The losses of an edge and their gates."""
    return ", ".join(
        f"{' + '.join(str(part) for part in term.parts)} via {term.gate}" for term in edge.terms
    )


def _with_origins(
    block: str, rows: Iterable[tuple[str, str]], origins: Mapping[str, str]
) -> list[tuple[str, str, str]]:
    """Adds to each row the file that sets it, or "default"."""
    # Facts of the data; of samples where no setting limits them.
    unset = {"samples": "", "class names": "", "images": ""}
    return [
        (name, text, origins.get(f"{block}.{name}", unset.get(name, "default")))
        for name, text in rows
    ]


def setting_origins(file: File) -> dict[str, str]:
    """Where the settings of the blocks were given: a file, or `--set` on the command line."""
    origins: dict[str, str] = {}
    for block in file.statements:
        if isinstance(block, Block) and block.name is None:
            spans = {setting.name: setting.value.span for setting in block.settings}
            if block.subject is not None:
                spans["source"] = block.subject.span
            for name, span in spans.items():
                command = span.path.startswith("--set ")
                origins[f"{block.kind}.{name}"] = "--set" if command else span.path
    return origins


def _data(plan: Plan) -> list[tuple[str, str]]:
    data = plan.data
    held = "held out" if data.holdout else "of the training samples, not held out of a run"
    used = "" if data.samples is None else f"{_samples_text(data.samples)} of "
    rows = [("source", str(data.source)), ("samples", f"{used}those that there are")]
    if (facts := data.facts) is not None:
        channels, height, width = data.shape
        whole = f"{facts.train_samples:,} to train, {facts.test_samples:,} to test"
        rows = [
            ("source", f"{data.source}, {data.classes} classes, {channels}x{height}x{width}"),
            ("samples", used + whole),
        ]
    rows += [
        ("batch", _batch(plan)),
        ("validation", f"{_samples_text(data.validation)} {held}"),
        ("holdout", str(data.holdout).lower()),
        ("augment", data.augment),
    ]
    optional = {
        "resize": data.resize and f"to {data.resize[0]}x{data.resize[1]}",
        "crop": data.crop,
        "mean": data.mean and ", ".join(map(str, data.mean)),
        "std": data.std and ", ".join(map(str, data.std)),
        "root": data.root,
        "classes": data.classes_expected,
        "labeled": None if data.labeled is None else f"{_samples_text(data.labeled)}",
        "labeled_batch": _labeled_batch(data),
        "views": f"{data.views}, each with random streams of its own" if data.views > 1 else None,
        "workers": data.workers or None,
        "drop_last": None if data.drop_last else "false",
        "evaluation_batch": data.evaluation_batch,
    }
    return [*rows, *((name, str(value)) for name, value in optional.items() if value is not None)]


def _images(images: "FolderSummary | None") -> Iterator[tuple[str, str]]:
    """What is known of a folder of images; no row sets it."""
    if images is not None:
        if images.classes:
            first, more = images.classes[:SHOWN_CLASSES], len(images.classes) - SHOWN_CLASSES
            yield "class names", ", ".join(first) + (f" and {more:,} more" if more > 0 else "")
        yield "images", images.text


def _samples_text(samples: int | Percent) -> str:
    return f"{samples:,}" if isinstance(samples, int) else f"{samples.percent:g}%"


def _batch(plan: Plan) -> str:
    data = plan.data
    if data.facts is None:
        return f"{data.batch:,}"
    whole, last = data.batch_sizes
    if whole < data.batch:
        unlabeled = " without a label" * (data.labeled_batch is not None)
        there = f"there are {data.samples_per_pass:,} samples{unlabeled}"
        return f"{data.batch:,}, and {there}: one step an epoch, of all of them"
    steps = f"{data.steps_per_epoch} step{'s' * (data.steps_per_epoch > 1)}"
    left = f"the last of {last:,}" if last else "all whole"
    rest = "whole batches only" if data.drop_last else left
    return f"{data.batch:,}, so {steps} an epoch, {rest}"


def _labeled_batch(data: DataPlan) -> str | None:
    """How many samples of a batch have a label, and what an epoch is then."""
    if data.labeled_batch is None:
        return None
    others = "" if data.facts is None else f"{data.samples_per_pass:,} "
    return f"{data.labeled_batch:,}; an epoch is one pass over the {others}samples without a label"


def _train(plan: Plan) -> list[tuple[str, str]]:
    train = plan.train
    steps = "" if plan.data.facts is None else f", {plan.steps:,} steps"
    most = ", at most" if plan.may_stop else ""
    if plan.phases:
        steps = f" (of a phase without its own), {plan.epochs:,} epochs{steps} in all"
    notes = {
        "epochs": steps + most,
        "update": " (all nodes from one forward)",
        "reduce": " (of a loss over the batch)",
        "aggregate": " (of the transfer losses into a node)",
    }
    return [(name, setting_text(name, value) + notes.get(name, "")) for name, value in train]


def _pretrain(plan: Plan) -> list[tuple[str, str]]:
    if plan.pretrain is None:
        return []
    nodes = [node.name for node in plan.graph.nodes if node.pretrained]
    notes = {"epochs": f" (of {', '.join(nodes)})" if nodes else " (nothing is pre-trained)"}
    return [
        (name, setting_text(name, value) + notes.get(name, "")) for name, value in plan.pretrain
    ]


def setting_text(name: str, value: object) -> str:
    """The value of a setting of that name as a spec writes it."""
    return "never" if name == "stop" and value is None else value_text(value)


def value_text(value: object) -> str:
    """A setting's value as a spec writes it, but with separators in large numbers."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Call):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
