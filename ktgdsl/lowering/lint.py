"""Lint: warnings of `ktgc check --pedantic` about what is legal but suspicious."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple, get_args, get_origin

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Span
from ktgdsl.plan import model
from ktgdsl.plan.parameters import parameter_count
from ktgdsl.syntax.tree import (
    CallExpression,
    Choice,
    Edge,
    File,
    List,
    Node,
    Number,
    PercentLiteral,
    Value,
)
from ktgdsl.syntax.walk import walk
from ktgdsl.vocabulary.entry import Entry, Percentage, alternatives
from ktgdsl.vocabulary.registry import entry, kinds_of

LARGE_RATES = {"sgd": 1.0, "adam": 0.1, "adamw": 0.1}
"""Learning rates above which hardly anything trains."""

HARDLY_OPEN = 0.1
"""A weight of a gate that hardly changes what a node learns."""


class _Spec(NamedTuple):
    """A plan, and the tree that says where things stand."""

    plan: model.Plan
    tree: File

    def node(self, name: str) -> Span:
        """Where a node is declared."""
        declared = {
            each.name: each.span
            for statement in (self.tree.graph.statements if self.tree.graph else ())
            if isinstance(statement, Node)
            for each in statement.names
        }
        return declared.get(name.partition("[")[0], self.tree.span)

    def setting(self, block: str, name: str) -> Span:
        """Where a setting is given, else the block's keyword, else the graph's."""
        found = self.tree.block(block)
        for setting in found.settings if found else ():
            if setting.name == name:
                return setting.value.span
        span = (found or self.tree.graph or self.tree).span
        return Span(span.path, span.start, min(span.end, span.start + len("train")))


def lint(plan: model.Plan, tree: File) -> tuple[Diagnostic, ...]:
    """Warnings about a sound plan, in the order of the checks."""
    return tuple(each for check in CHECKS for each in check(_Spec(plan, tree)))


def _warning(code: str, message: str, span: Span, help: str) -> Diagnostic:
    return Diagnostic(code, message, span, help, "warning")


def no_supervision(spec: _Spec) -> Iterator[Diagnostic]:
    """Nodes that teach each other and never see a label, nor a teacher that did."""
    graph = spec.plan.graph
    informed = {node.name for node in graph.nodes if not node.learns}
    informed |= {edge.destination.node for edge in graph.edges if edge.from_label}
    informed |= {each.name for each in graph.derived if not each.sources}  # made of the label
    grown = True
    while grown:
        new = {e.destination.node for e in graph.edges if model.node_of(e.source) in informed}
        new |= {each.name for each in graph.derived if informed.intersection(each.sources)}
        new -= informed
        informed |= new
        grown = bool(new)
    names = [node.name for node in graph.nodes if node.name not in informed]
    if names:
        nodes = " and ".join(f"`{name}`" for name in names)
        message = f"nothing that {nodes} learn{'s' * (len(names) == 1)} from has ever seen a label"
        fix = f"`edge label -> {names[0]}` would bring labels in"
        yield _warning("W201", message, spec.node(names[0]), fix)


def never_open(spec: _Spec) -> Iterator[Diagnostic]:
    """Schedules that are over before the first step, or begin after the last."""
    if spec.plan.data.facts is None:
        return  # how many steps there are is seen when the data are loaded
    # What opens in none of the phases does not in the longest.
    epochs = max((phase.epochs for phase in spec.plan.phases), default=spec.plan.train.epochs)
    steps = epochs * spec.plan.data.steps_per_epoch
    edges = spec.tree.graph.statements if spec.tree.graph else ()
    for part in (p for edge in edges if isinstance(edge, Edge) for p in walk(edge)):
        if (
            not isinstance(part, CallExpression)
            or part.name not in ("until", "after")
            or not part.arguments
        ):
            continue
        match part.arguments[0].value:
            case PercentLiteral(value=value):
                moment = value * steps / 100
            case Number(value=value):
                moment = value * steps / epochs
            case _:
                continue
        if (moment < 1) if part.name == "until" else (moment >= steps):
            what = "the longest phase" if spec.plan.phases else "this training"
            message = f"`{part.name}` never opens in the {steps:,} steps of {what}"
            fix = "write `cutoff` where there is to be no edge"
            yield _warning("W202", message, part.span, fix)


def small_teacher(spec: _Spec) -> Iterator[Diagnostic]:
    """A frozen teacher with fewer weights than its student."""
    graph = spec.plan.graph
    networks = {node.name: node for node in graph.nodes}
    facts = spec.plan.data.facts
    classes = 10 if facts is None else facts.classes  # which one is larger does not depend on it
    for edge in graph.edges:
        teacher = networks.get(model.node_of(edge.source) or "")
        student = networks.get(edge.destination.node)
        if teacher is None or teacher.learns or student is None:
            continue
        sizes = [parameter_count(node.network, classes, 3) for node in (teacher, student)]
        if sizes[0] and sizes[1] and sizes[0] < sizes[1]:
            message = (
                f"the frozen teacher `{teacher.name}` is smaller than its student `{student.name}`"
            )
            fix = "a teacher is usually the larger network; is the arrow the right way round?"
            yield _warning("W203", message, spec.node(teacher.name), fix)


def no_weight_decay(spec: _Spec) -> Iterator[Diagnostic]:
    """Training without any decay, which published recipes have."""
    optimizer = spec.plan.train.optimizer
    if optimizer.arguments["weight_decay"] == 0:
        message = f"`{optimizer.name}` has no weight decay here"
        fix = "the paper's is 5e-4: `sgd(lr=0.1, momentum=0.9, nesterov=true, weight_decay=5e-4)`"
        yield _warning("W204", message, spec.setting("train", "optimizer"), fix)


def large_rate(spec: _Spec) -> Iterator[Diagnostic]:
    """A learning rate that hardly anything survives."""
    optimizer = spec.plan.train.optimizer
    rate, most = optimizer.arguments["lr"], LARGE_RATES[optimizer.name]
    assert isinstance(rate, float)
    if rate > most:
        message = f"a learning rate of {rate:g} is unusually large for `{optimizer.name}`"
        fix = f"rates up to {most:g} are usual"
        yield _warning("W205", message, spec.setting("train", "optimizer"), fix)


def judged_early(spec: _Spec) -> Iterator[Diagnostic]:
    """Gates that open with time, in a search that ends trials when they are hardly open."""
    search = spec.plan.search
    if spec.plan.space is None or search is None or search.pruner.name == "none":
        return
    first = search.pruner.arguments["min"]
    assert isinstance(first, int)
    share = first / search.epochs
    ramp = next(
        (p for p in walk(spec.tree) if isinstance(p, CallExpression) and p.name == "linear"), None
    )
    if ramp is not None and not ramp.arguments and share < HARDLY_OPEN:
        message = (
            f"the first rung is after epoch {first} of {search.epochs}, when `linear` has opened "
            f"to {share:.2g} only, so the search judges such edges before they do anything"
        )
        fix = f"`pruner = asha(min={max(first + 1, search.epochs // 10)})` would judge later"
        yield _warning("W206", message, ramp.span, fix)


def part_of_an_epoch(spec: _Spec) -> Iterator[Diagnostic]:
    """Moments greater than 0 and less than 1, which mean epochs and not the whole training."""
    for part in walk(spec.tree):
        if isinstance(part, CallExpression):
            for value in _moments(part):
                if isinstance(value, Number) and 0 < value.value < 1:
                    share = f"{Decimal(repr(value.value)) * 100:f}".rstrip("0").rstrip(".")
                    message = (
                        f"this is {value.value:g} of an epoch: a number without `%` counts epochs"
                    )
                    fix = f"did you mean `{share}%`, of the whole training?"
                    yield _warning("W207", message, value.span, fix)


def _moments(call: CallExpression) -> Iterator[Value]:
    """The arguments of a word that are moments or lengths of the training, each as written."""
    for word in (entry(kind, call.name) for kind in kinds_of(call.name)):
        names = word.positions() if word is not None else []
        for position, argument in enumerate(call.arguments):
            name = argument.name or "".join(names[position : position + 1])
            if word is not None and _is_moment(word, name):
                yield from _each(argument.value)


def _each(value: Value) -> Iterator[Value]:
    """The items of a list and the options of a choice, else the value itself."""
    match value:
        case List(items=parts) | Choice(options=parts):
            for part in parts:
                yield from _each(part)
        case _:
            yield value


def _is_moment(word: type[Entry], name: str) -> bool:
    field = word.model_fields.get(name)
    if field is None:
        return False
    listed = get_origin(field.annotation) is list
    annotation = get_args(field.annotation)[0] if listed else field.annotation
    return set(alternatives(annotation)) == {float, Percentage}


CHECKS: tuple[Callable[[_Spec], Iterator[Diagnostic]], ...] = (
    no_supervision,
    never_open,
    small_teacher,
    no_weight_decay,
    large_rate,
    judged_early,
    part_of_an_epoch,
)
