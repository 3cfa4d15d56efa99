"""Checks a plan that was read from a file, which may have been edited: a spec could give it."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ktgdsl.plan.data import DataPlan, Percent
from ktgdsl.plan.gate_expressions import Constant, Gate, Product, Sum, gate_calls
from ktgdsl.plan.graph import Edge, Graph, Labels, NodeOutput
from ktgdsl.plan.model import Plan, Steps
from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Percentage, StepCount
from ktgdsl.vocabulary.refs import NodeRef
from ktgdsl.vocabulary.registry import entry, settings_of

_OWN_DATA = ("folder", "python")
_LARGEST = 2**48
"""The largest number of samples, classes or pixels that is taken as one."""


def why_invalid(plan: Plan) -> str | None:
    """Why no spec can have given a plan, in words; None for a valid one.

    Checked are words and their arguments, the ranges of settings, and the names of nodes.
    """
    try:
        return next(_problems(plan), None)
    except OverflowError:  # an integer that no float can be
        return "a number in it is too large"
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"`{place}` {first['msg'].removeprefix('Value error, ')}"


def _problems(plan: Plan) -> Iterator[str]:
    for kind, call in _calls(plan):
        found = entry(kind, call.name)
        if found is None:
            yield f"there is no {kind} `{call.name}`"
        elif missing := found.from_call(call).call().arguments.keys() - call.arguments.keys():
            yield f"`{call.name}` has no `{min(missing)}`"
    _validate("train", plan.train)
    if plan.pretrain is not None:
        _validate("pretrain", plan.pretrain)
    for phase in plan.phases:
        _validate("phase", phase)
    if plan.search is not None:
        _validate("search", plan.search)
    yield from _data_problems(plan.data)
    yield from _graph_problems(plan.graph)
    yield from _label_problems(plan)
    learning = {node.name for node in plan.graph.nodes if node.learns}
    learning |= {each.name for each in plan.graph.derived if each.optimizer is not None}
    for phase in plan.phases:
        if not phase.learn or not learning.issuperset(phase.learn):
            yield f"the phase `{phase.name}` learns {', '.join(phase.learn) or 'nothing'}"


def _calls(plan: Plan) -> Iterator[tuple[str, Call]]:
    """Every word of the plan with its kind, except those nested in others or in derived nodes."""
    blocks = (plan.train, *plan.phases, *([plan.pretrain] if plan.pretrain else []))
    learners = (*plan.graph.nodes, *plan.graph.derived, *blocks)
    for each in learners:
        for kind in ("network", "optimizer", "schedule", "stop"):
            if (call := getattr(each, kind, None)) is not None:
                yield kind, call
    yield "dataset", plan.data.source
    for edge in plan.graph.edges:
        for term in edge.terms:
            yield from (("loss", part.loss) for part in term.parts)
            yield from (("gate", call) for call in gate_calls(term.gate))
    if plan.search is not None:
        yield "sampler", plan.search.sampler
        yield "pruner", plan.search.pruner
        yield from (("objective", call) for call in (plan.search.objective, *plan.search.goals))


def _validate(block: str, content: BaseModel) -> None:
    """Raise ValidationError where a setting of a block is out of its range."""
    known = settings_of(block).model_fields
    _validate_values(block, {name: value for name, value in content if name in known})


def _validate_values(block: str, values: Mapping[str, Any]) -> None:
    plain: dict[str, Any] = {
        name: Percentage(percent=value.percent)
        if isinstance(value, Percent)
        else StepCount(value.steps)
        if isinstance(value, Steps)
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in values.items()
        if not isinstance(value, Call) and value is not None and name != "learn"
    }
    model = settings_of(block)
    if "learn" in model.model_fields:
        plain["learn"] = [NodeRef("a")]
    model.model_validate(plain)


def _data_problems(data: DataPlan) -> Iterator[str]:
    values = {**dict(data), "classes": data.classes_expected}
    known = settings_of("data").model_fields
    _validate_values("data", {name: values[name] for name in known})
    facts = data.facts
    if facts is None:
        if data.source.name not in _OWN_DATA:
            yield f"nothing is known of the data `{data.source.name}`"
        return
    sizes = {
        "classes": facts.classes,
        "train_samples": facts.train_samples,
        **{f"shape.{i}": size for i, size in enumerate(facts.shape)},
    }
    for name, size in sizes.items():
        if not 1 <= size <= _LARGEST:
            yield f"`facts.{name}` is {size}"
    if not 0 <= facts.test_samples <= _LARGEST:
        yield f"`facts.test_samples` is {facts.test_samples}"
    if facts.train_labeled is not None and not 1 <= facts.train_labeled <= facts.train_samples:
        yield f"`facts.train_labeled` is {facts.train_labeled} of {facts.train_samples}"
    if data.labeled_batch is not None and data.labeled_batch >= data.batch:
        yield f"`labeled_batch` is {data.labeled_batch} of {data.batch}"
    if problem := data.labeled_batch_problem:
        yield problem
    if data.holdout and min(data.trained_samples, data.trained_labeled) < 1:
        yield f"{data.held_out_samples} of {data.train_samples} samples are held out"
    if data.train_samples > facts.train_samples:
        yield f"{data.train_samples} of {facts.train_samples} samples are used"


def _graph_problems(graph: Graph) -> Iterator[str]:
    names = [*(node.name for node in graph.nodes), *(each.name for each in graph.derived)]
    for name in names:
        if names.count(name) > 1:
            yield f"there are two nodes `{name}`"
    for what, mentioned in _mentioned(graph):
        if mentioned not in names:
            yield f"{what} is the node `{mentioned}`, which there is not"
    if not graph.targets:
        yield "there is no target"
    for edge in graph.edges:
        yield from _edge_problems(edge)


def _label_problems(plan: Plan) -> Iterator[str]:
    """Heads and labels that do not go together, or that the data do not have."""
    labels, facts = plan.data.labels, plan.data.facts
    if facts is not None and len(facts.classes_by_label) != len(labels):
        yield f"`facts.classes_by_label` has {len(facts.classes_by_label)} of {len(labels)} labels"
    for node in plan.graph.nodes:
        if not {*node.heads} <= {*labels} or bool(node.heads) != bool(labels):
            yield f"`{node.name}` answers {', '.join(node.heads) or 'none'} of the labels"
    for edge in plan.graph.edges:
        if isinstance(edge.source, Labels) and edge.source.head not in (labels or (None,)):
            yield f"edge {edge} is from a label that is not read"


def _mentioned(graph: Graph) -> Iterator[tuple[str, str]]:
    yield from (("the target", name) for name in graph.targets)
    for edge in graph.edges:
        ends = (edge.source, edge.destination)
        yield from ((f"an end of edge {edge}", e.node) for e in ends if isinstance(e, NodeOutput))
    for derived in graph.derived:
        yield from ((f"a source of `{derived.name}`", name) for name in derived.sources)
    for share in graph.shares:
        yield from (("a sharer", name) for name in share.nodes)


def _edge_problems(edge: Edge) -> Iterator[str]:
    numbers = [edge.scale, *(part.coefficient for term in edge.terms for part in term.parts)]
    numbers += [value for term in edge.terms for value in _constants(term.gate)]
    if not all(abs(number) < float("inf") for number in numbers):
        yield f"edge {edge} has a number that is not finite"
    constant = [term.gate.value for term in edge.terms if isinstance(term.gate, Constant)]
    if edge.scale <= 0 or any(value < 0 for value in constant):
        yield f"edge {edge} has a negative weight"
    if not edge.terms or not all(term.parts for term in edge.terms):
        yield f"edge {edge} has no loss"


def _constants(gate: Gate) -> Iterator[float]:
    match gate:
        case Constant():
            yield gate.value
        case Product():
            for factor in gate.factors:
                yield from _constants(factor)
        case Sum():
            for term in gate.terms:
                yield from _constants(term)
