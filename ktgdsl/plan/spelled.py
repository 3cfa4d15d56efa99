"""A plan as a spec: the text of a `.ktg` file that means it."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_origin

from ktgdsl.language.format import format_source
from ktgdsl.language.source import Source
from ktgdsl.plan.model import (
    LABEL,
    Call,
    Constant,
    Derived,
    Edge,
    Gate,
    Node,
    Percent,
    Plan,
    Product,
    Sum,
    Weight,
)
from ktgdsl.plan.passes import FROZEN
from ktgdsl.plan.taps import ELEMENTWISE
from ktgdsl.vocabulary.call import shown, shown_path
from ktgdsl.vocabulary.entry import Parameters
from ktgdsl.vocabulary.networks import shortest, spelled_out
from ktgdsl.vocabulary.registry import entry
from ktgdsl.vocabulary.settings import DataSettings, TrainSettings


def spelled(plan: Plan, folder: Path, header: Sequence[str] = ()) -> str:
    """The spec that means a plan: compiled in `folder`, it has the plan's digest.

    `header` stands above it as comments. Nodes of an array that differ from each other, or
    are not all there, become single nodes with names of their own, `p_0`; then only the
    canonical digest is the same, and that only if none of them is a target.

    A phase forgets the nodes that were dropped.

    Raises ValueError when the plan leaves something open, has a phase in which none of its
    nodes learns, or is larger than a spec may be.
    """
    if plan.space is not None:
        raise ValueError("a plan with open values is no spec")
    names = _names(plan)
    arrays = _arrays(names)
    lines = [f"# {line}" for text in header for line in text.splitlines() or [""]] + [""]
    lines += [f"graph {plan.graph.name} {{", *_nodes(plan, names, folder)]
    lines += [f"target {_listed((names[name] for name in plan.graph.targets), arrays)}", ""]
    for share in plan.graph.shares:
        shared = _listed((names[name] for name in share.nodes), arrays)
        grad = None if share.grad == "sum" else share.grad
        own = {"layers": f"[{', '.join(map(shown_path, share.layers))}]", "grad": grad}
        lines.append(f"share {shared}{_inline(own)}")
    lines += [*_edges(plan, names, arrays), "}", "", *_data(plan, folder), "", *_train(plan)]
    for phase in plan.phases:
        learn = [names[name] for name in phase.learn if name in names]
        if not learn:
            raise ValueError(f"no node of the graph learns in the phase `{phase.name}`")
        settings = {
            "learn": f"[{_listed(learn, arrays)}]",
            "epochs": None if phase.epochs == plan.train.epochs else str(phase.epochs),
            "optimizer": None if phase.optimizer is None else _call("optimizer", phase.optimizer),
            "schedule": None if phase.schedule is None else _call("schedule", phase.schedule),
            "take": None if phase.take == "last" else phase.take,
        }
        lines += ["", *_block(f"phase {phase.name}", settings)]
    text, problems = format_source(Source("<plan>", "\n".join(lines).lstrip() + "\n"))
    if text is None:
        raise ValueError(f"this plan is no spec: {problems[0].message}")
    return text


def _names(plan: Plan) -> dict[str, str]:
    """What each node is called: as in the plan, but for arrays that are not whole or not even."""
    nodes: list[Node | Derived] = [*plan.graph.nodes, *plan.graph.derived]
    arrays: dict[str, list[Node | Derived]] = {}
    for node in nodes:
        if match := re.fullmatch(r"(\w+)\[(\d+)\]", node.name):
            arrays.setdefault(match[1], []).append(node)
    taken = {node.name for node in nodes} | arrays.keys()
    names = {node.name: node.name for node in nodes}
    kept: dict[str, list[str]] = {}
    for base, members in arrays.items():
        found = [node.name for node in members]
        whole = found == [f"{base}[{index}]" for index in range(len(found))]
        if whole and _alike(members, kept):
            kept[base] = found
            continue
        for node in members:
            new = node.name.replace("[", "_").rstrip("]")
            while new in taken:
                new += "_"
            taken.add(new)
            names[node.name] = new
    return names


def _alike(members: Sequence[Node | Derived], kept: Mapping[str, Sequence[str]]) -> bool:
    """Whether one statement can declare the nodes of an array; `kept` are those before it."""
    first, *others = map(_declared, members)
    if any(other != first for other in others):
        return False
    if isinstance(first, Node) or first.made.name not in ELEMENTWISE:
        return True
    sources = [node.sources[0] for node in members if isinstance(node, Derived)]
    return sources in kept.values()


def _declared(node: Node | Derived) -> Node | Derived:
    """What a statement says of a node. Edges say whether it is frozen without `frozen = true`."""
    if isinstance(node, Node):
        frozen = FROZEN if node.frozen == FROZEN else None
        return node.model_copy(update={"name": "", "frozen": frozen})
    sources = () if node.made.name in ELEMENTWISE else node.sources
    return node.model_copy(update={"name": "", "sources": sources})


def _arrays(names: Mapping[str, str]) -> Counter[str]:
    """How many nodes the arrays of the spec have."""
    return Counter(name.partition("[")[0] for name in names.values() if "[" in name)


def _listed(places: Iterable[str], arrays: Mapping[str, int]) -> str:
    """Places with commas between them, all nodes of an array in a row as the array."""
    told = ", ".join(places)
    for base, size in arrays.items():
        run = ", ".join(f"{base}[{index}]" for index in range(size))
        told = re.sub(rf"(?<!\w){re.escape(run)}(?!\.)", base, told)
    return told


def _nodes(plan: Plan, names: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Equal neighbours stand together; of an array there is one statement."""
    arrays = _arrays(names)
    told: dict[str, str] = {}
    for node in plan.graph.nodes:
        short = shortest(node.network)
        what = short if spelled_out(short) else _call("network", node.network)
        base, bracket, _ = names[node.name].partition("[")
        name = f"{base}[{arrays[base]}]" if bracket else base
        told.setdefault(name, what + _inline(_node_settings(plan, node, folder)))
    for what, group in groupby(told.items(), key=lambda pair: pair[1]):
        yield f"node {', '.join(name for name, _ in group)} = {what}"
    made: dict[str, str] = {}
    for derived in plan.graph.derived:
        own = {
            "keep": "true" if derived.keep else None,
            "optimizer": _unless(derived.optimizer, plan.train.optimizer, "optimizer"),
            "schedule": _unless(derived.schedule, plan.train.schedule, "schedule"),
        }
        base, bracket, _ = names[derived.name].partition("[")
        sources = [names[name] for name in derived.sources]
        name = f"{base}[{arrays[base]}]" if bracket else base
        if bracket and derived.made.name in ELEMENTWISE:
            name, sources = base, [sources[0].partition("[")[0]]  # as long as the other array
        of = [_listed(sources, arrays)] if sources else []
        told_of = ", ".join([*of, *_arguments("network", derived.made, names)])
        word = f"{derived.made.name}({told_of})" if told_of else derived.made.name
        made.setdefault(name, word + _inline(own))
    yield from (f"node {name} = {what}" for name, what in made.items())


def _node_settings(plan: Plan, node: Node, folder: Path) -> dict[str, str | None]:
    # The file is where links lead, and `..` of the spec begins there too.
    weights = node.weights and os.path.relpath(node.weights.file, folder.resolve())
    return {
        "weights": _value(Path(weights).as_posix()) if weights else None,
        "frozen": "true" if node.frozen == FROZEN else None,
        "optimizer": _unless(node.optimizer, plan.train.optimizer, "optimizer"),
        "schedule": _unless(node.schedule, plan.train.schedule, "schedule"),
        "mode": None if node.mode == "eval" else node.mode,
        "keep": "true" if node.keep else None,
        "device": None if node.device is None else _value(node.device),
    }


def _unless(call: Call | None, default: Call, kind: str) -> str | None:
    return None if call is None or call == default else _call(kind, call)


def edge_lines(plan: Plan) -> list[str]:
    """The edges of a plan as a spec writes them, without the word `edge`."""
    names = {node.name: node.name for node in plan.graph.nodes}
    names |= {node.name: node.name for node in plan.graph.derived}
    return [line.removeprefix("edge ") for line in _edges(plan, names, {})]


class _Row(NamedTuple):
    """Edges from one source with equal terms; `alone` when no other source may join it."""

    source: str
    into: str
    terms: str
    alone: bool


def _edges(plan: Plan, names: Mapping[str, str], arrays: Mapping[str, int]) -> Iterator[str]:
    """Neighbours with one source and equal terms stand together, then those into the same."""

    def key(row: _Row) -> tuple[str, ...]:
        return (row.source if row.alone else "", row.into, row.terms)

    for (_, into, terms), group in groupby(_rows(plan, names, arrays), key=key):
        rows = list(group)
        if not rows[0].source:
            yield f"edge {into} : {terms}"
            continue
        # Of an array into several places, the edges into the first would come first.
        apart = rows[0].alone or "," in into
        source = _listed((row.source for row in rows), {} if apart else arrays)
        colon = " : " if terms and not terms.startswith(" via") else ""
        yield f"edge {source} -> {into}{colon}{terms}"


def _rows(plan: Plan, names: Mapping[str, str], arrays: Mapping[str, int]) -> Iterator[_Row]:
    learning = [node.name for node in plan.graph.nodes if node.frozen != FROZEN]

    def key(edge: Edge) -> tuple[str, str, bool]:
        # A list of nodes leaves out the source itself, so an edge to it stands for itself.
        return str(edge.source), _terms(edge, names), edge.source.node == edge.destination.node

    for (_, terms, to_itself), group in groupby(plan.graph.edges, key=key):
        edges = list(group)
        first = edges[0]
        source = "" if first.unary else _place(first.source.node, first.source.tap, names)
        places = [_place(edge.destination.node, edge.destination.tap, names) for edge in edges]
        if to_itself:
            yield from (_Row(source, place, terms, alone=True) for place in places)
            continue
        into = [str(edge.destination) for edge in edges]
        if first.from_label and len(learning) > 1 and into[: len(learning)] == learning:
            yield _Row(source, "*", terms, alone=True)
            places = places[len(learning) :]
        if places:
            yield _Row(source, _listed(places, arrays), terms, alone=not first.transfers)


def _place(node: str, tap: str, names: Mapping[str, str]) -> str:
    name = LABEL if node == LABEL else names[node]
    return name if tap == "logits" else f"{name}.{shown_path(tap)}"


def _terms(edge: Edge, names: Mapping[str, str]) -> str:
    """The terms as written behind the colon; a default that stands alone is left out."""
    told = []
    for term in edge.terms:
        parts = [
            _weighted(part.coefficient, _call("loss", part.loss, names)) for part in term.parts
        ]
        via = "" if term.gate == Constant(value=1.0) else f" via {_gate(term.gate)}"
        told.append((_added(parts), via))
    default = "ce" if edge.from_label else "kl"
    tapped = edge.source.tap != "logits" or edge.destination.tap != "logits"
    if len(told) == 1 and told[0][0] == default and not tapped and not edge.unary:
        return told[0][1]
    return ", ".join(loss + via for loss, via in told)


def _gate(gate: Gate) -> str:
    match gate:
        case Constant():
            return shown(gate.value)
        case Weight():
            return _call("gate", gate.gate)
        case Product(factors=(Constant(value=-1.0), *others)):
            return f"-{_gate(Product(factors=tuple(others)))}"
        case Product():
            return " * ".join(
                f"({_gate(each)})" if isinstance(each, Sum) else _gate(each)
                for each in gate.factors
            )
        case Sum():
            return _added([_gate(each) for each in gate.terms])


def _weighted(coefficient: float, loss: str) -> str:
    if abs(coefficient) == 1:
        return loss if coefficient == 1 else f"-{loss}"
    return f"{shown(coefficient)} * {loss}"


def _added(terms: Sequence[str]) -> str:
    first, *more = terms
    return first + "".join(
        f" - {each[1:]}" if each.startswith("-") else f" + {each}" for each in more
    )


def _call(kind: str, call: Call, names: Mapping[str, str] | None = None) -> str:
    """A word with its arguments, without defaults unless it is an optimiser."""
    arguments = ", ".join(_arguments(kind, call, names))
    return f"{call.name}({arguments})" if arguments else call.name


def _arguments(kind: str, call: Call, names: Mapping[str, str] | None = None) -> Iterator[str]:
    """The arguments of a word; those of gates and the first text of others by position."""
    found = entry(kind, call.name)
    assert found is not None
    given: dict[str, Any] = dict(call.arguments)
    if "scale" in given and given["scale"] == given.get("T", 1.0) ** 2:
        del given["scale"]  # which is the default at any temperature
    defaults = _defaults(found)
    in_place = True
    for name, value in given.items():
        usual = name in defaults and defaults[name] == value and kind != "optimizer"
        if usual or value is None:
            in_place = False
            continue
        field = found.model_fields.get(name)
        if name == found.variadic:
            yield from (_value(each, names) for each in value)
        elif field is None:  # for a callable, which may tell 2.0 from 2
            yield f"{name}={_value(value, names, exact=True)}"
        elif get_origin(field.annotation) is Literal:
            yield f"{name}={value}"
        else:
            bare = in_place and (
                kind == "gate" or (field.is_required() and field.annotation is str)
            )
            yield _value(value, names) if bare else f"{name}={_value(value, names)}"


def _defaults(cls: type[Parameters]) -> dict[str, Any]:
    """The defaults of an entry's parameters as they stand in plans."""
    found = {}
    for name, field in cls.model_fields.items():
        if not field.is_required():
            value = field.get_default(call_default_factory=True)
            dump = getattr(value, "call", None)
            found[name] = {**dump().model_dump()} if dump else value
    return found


def _value(value: Any, names: Mapping[str, str] | None = None, *, exact: bool = False) -> str:
    """A value as written; `exact` keeps whole numbers that are floats apart from integers."""
    match value:
        case {"node": node, "tap": tap}:
            return f"{(names or {}).get(node, node)}.{shown_path(tap)}"
        case {"node": name}:
            return (names or {}).get(name, name)
        case {"name": str(name), "arguments": dict(arguments)}:
            return _call("combine", Call(name=name, arguments=arguments), names)
        case list():
            return f"[{', '.join(_value(each, names, exact=exact) for each in value)}]"
        case float() if exact:
            return repr(value)
    # The text of a call is what its arguments are printed with.
    return str(Call(name="x", arguments={"x": value})).removeprefix("x(x=").removesuffix(")")


def _data(plan: Plan, folder: Path) -> list[str]:
    data, defaults = plan.data, _defaults(DataSettings)
    share = defaults["validation"].percent
    usual = Percent(percent=share)
    if data.facts is not None:
        usual_count = round(data.facts.train_samples * share / 100)
        validation = None if data.validation == usual_count else _samples(data.validation)
    else:
        validation = None if data.validation == usual else _samples(data.validation)
    settings = {
        "batch": str(data.batch),
        "validation": validation,
        "holdout": "true" if data.holdout else None,
        "augment": None if data.augment == defaults["augment"] else data.augment,
        "root": None if data.root is None else _value(Path(data.root).as_posix()),
        "classes": None if data.classes_expected is None else str(data.classes_expected),
        "labeled": None if data.labeled is None else _samples(data.labeled),
        "views": None if data.views == 1 else str(data.views),
        "workers": None if data.workers == 0 else str(data.workers),
    }
    return _block(f"data {_call('dataset', data.source)}", settings)


def _samples(samples: int | Percent) -> str:
    return str(samples) if isinstance(samples, int) else _value({"percent": samples.percent})


def _train(plan: Plan) -> list[str]:
    train, defaults = plan.train, _defaults(TrainSettings)
    settings: dict[str, str | None] = {
        "epochs": str(train.epochs),
        "optimizer": _call("optimizer", train.optimizer),
        "schedule": _call("schedule", train.schedule),
    }
    for name in type(train).model_fields:
        value = getattr(train, name)
        if name not in settings and value != defaults[name]:
            settings[name] = shown(value) if isinstance(value, float) else str(value)
    return _block("train", settings)


def _block(head: str, settings: Mapping[str, str | None]) -> list[str]:
    return [f"{head} {{", *_settings(settings), "}"]


def _inline(settings: Mapping[str, str | None]) -> str:
    told = " ".join(_settings(settings))
    return f" {{ {told} }}" if told else ""


def _settings(settings: Mapping[str, str | None]) -> Iterable[str]:
    return [f"{name} = {value}" for name, value in settings.items() if value is not None]
