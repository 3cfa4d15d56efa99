"""A plan as a spec: the text of a `.ktg` file that means it."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_origin

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
from ktgdsl.vocabulary.call import shown, shown_path
from ktgdsl.vocabulary.entry import Parameters
from ktgdsl.vocabulary.networks import shortest
from ktgdsl.vocabulary.registry import entry
from ktgdsl.vocabulary.settings import DataSettings, TrainSettings


def spelled(plan: Plan, folder: Path, header: Sequence[str] = ()) -> str:
    """The spec that means a plan: compiled in `folder`, it has the plan's digest.

    `header` stands above it as comments. Nodes of an array that differ from each other, or
    are not all there, become single nodes with names of their own, `p_0`; then only the
    canonical digest is the same, and that only if none of them is a target.

    Raises ValueError when the plan leaves something open.
    """
    if plan.space is not None:
        raise ValueError("a plan with open values is no spec")
    names = _names(plan)
    lines = [f"# {line}" for line in header] + [""]
    lines += [f"graph {plan.graph.name} {{", *_nodes(plan, names, folder)]
    lines += [f"target {', '.join(names[name] for name in plan.graph.targets)}", ""]
    for share in plan.graph.shares:
        shared = ", ".join(names[name] for name in share.nodes)
        layers = ", ".join(map(shown_path, share.layers))
        lines.append(f"share {shared} {{ layers = [{layers}] grad = {share.grad} }}")
    lines += [*_edges(plan, names), "}", "", *_data(plan, folder), "", *_train(plan)]
    for phase in plan.phases:
        settings = {
            "learn": f"[{', '.join(names[name] for name in phase.learn)}]",
            "epochs": str(phase.epochs),
            "optimizer": None if phase.optimizer is None else _call("optimizer", phase.optimizer),
            "schedule": None if phase.schedule is None else _call("schedule", phase.schedule),
            "take": None if phase.take == "last" else phase.take,
        }
        lines += ["", *_block(f"phase {phase.name}", settings)]
    text, problems = format_source(Source("<plan>", "\n".join(lines).lstrip() + "\n"))
    assert text is not None, problems
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
    for base, members in arrays.items():
        whole = [node.name for node in members] == [f"{base}[{i}]" for i in range(len(members))]
        if whole and _alike(members):
            continue
        for node in members:
            new = node.name.replace("[", "_").rstrip("]")
            while new in taken:
                new += "_"
            taken.add(new)
            names[node.name] = new
    return names


def _alike(members: Sequence[Node | Derived]) -> bool:
    """Whether one statement can declare the nodes of an array."""
    first, *others = (node.model_copy(update={"name": ""}) for node in members)
    return isinstance(first, Node) and all(other == first for other in others)


def _nodes(plan: Plan, names: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Equal neighbours stand together; of an array that is whole there is one statement."""
    told: list[tuple[str, str]] = []
    for node in plan.graph.nodes:
        settings = _inline(_node_settings(plan, node, folder))
        what = f"{shortest(node.network)}{settings}"
        if node.network.name == "python":
            what = f"{_call('network', node.network)}{settings}"
        base, bracket, _ = names[node.name].partition("[")
        if bracket:
            size = sum(names[each.name].startswith(f"{base}[") for each in plan.graph.nodes)
            told.append((f"{base}[{size}]", what))
        else:
            told.append((names[node.name], what))
    for what, group in groupby(dict.fromkeys(told), key=lambda pair: pair[1]):
        yield f"node {', '.join(name for name, _ in group)} = {what}"
    for derived in plan.graph.derived:
        own = {
            "keep": "true" if derived.keep else None,
            "optimizer": _unless(derived.optimizer, plan.train.optimizer, "optimizer"),
            "schedule": _unless(derived.schedule, plan.train.schedule, "schedule"),
        }
        sources = [names[name] for name in derived.sources]
        arguments = _arguments("network", derived.made, names)
        made = ", ".join([*sources, *arguments])
        yield f"node {names[derived.name]} = {derived.made.name}({made}){_inline(own)}"


def _node_settings(plan: Plan, node: Node, folder: Path) -> dict[str, str | None]:
    weights = node.weights and os.path.relpath(node.weights.file, folder)
    return {
        "weights": _string(Path(weights).as_posix()) if weights else None,
        "frozen": "true" if node.frozen == FROZEN else None,
        "optimizer": _unless(node.optimizer, plan.train.optimizer, "optimizer"),
        "schedule": _unless(node.schedule, plan.train.schedule, "schedule"),
        "mode": None if node.mode == "eval" else node.mode,
        "keep": "true" if node.keep else None,
        "device": None if node.device is None else _string(node.device),
    }


def _unless(call: Call | None, default: Call, kind: str) -> str | None:
    return None if call is None or call == default else _call(kind, call)


def edge_lines(plan: Plan) -> list[str]:
    """The edges of a plan as a spec writes them, without the word `edge`."""
    names = {node.name: node.name for node in plan.graph.nodes}
    names |= {node.name: node.name for node in plan.graph.derived}
    return [line.removeprefix("edge ") for line in _edges(plan, names)]


def _edges(plan: Plan, names: Mapping[str, str]) -> Iterator[str]:
    """Neighbours with one source and equal terms stand together."""
    learning = [node.name for node in plan.graph.nodes if node.frozen != FROZEN]

    def key(edge: Edge) -> tuple[str, str]:
        return str(edge.source), _terms(edge, names)

    for (_, terms), group in groupby(plan.graph.edges, key=key):
        edges = list(group)
        into = ", ".join(
            _place(edge.destination.node, edge.destination.tap, names) for edge in edges
        )
        first = edges[0]
        if first.from_label and [str(edge.destination) for edge in edges] == learning != [into]:
            into = "*"
        if first.unary:
            yield f"edge {into} : {terms}"
            continue
        source = _place(first.source.node, first.source.tap, names)
        colon = " : " if terms and not terms.startswith(" via") else ""
        yield f"edge {source} -> {into}{colon}{terms}"


def _place(node: str, tap: str, names: Mapping[str, str]) -> str:
    name = LABEL if node == LABEL else names[node]
    return name if tap == "logits" else f"{name}.{shown_path(tap)}"


def _terms(edge: Edge, names: Mapping[str, str]) -> str:
    """The terms as written behind the colon; a default that stands alone is left out."""
    told = []
    for term in edge.terms:
        parts = [
            _call("loss", part.loss, names)
            if part.coefficient == 1
            else f"{shown(part.coefficient)} * {_call('loss', part.loss, names)}"
            for part in term.parts
        ]
        via = "" if term.gate == Constant(value=1.0) else f" via {_gate(term.gate)}"
        told.append((" + ".join(parts), via))
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
            first, *more = (_gate(each) for each in gate.terms)
            return first + "".join(
                f" - {each[1:]}" if each.startswith("-") else f" + {each}" for each in more
            )


def _call(kind: str, call: Call, names: Mapping[str, str] | None = None) -> str:
    """A word with its arguments, without defaults unless it is an optimiser."""
    arguments = ", ".join(_arguments(kind, call, names))
    return f"{call.name}({arguments})" if arguments else call.name


def _arguments(kind: str, call: Call, names: Mapping[str, str] | None = None) -> Iterator[str]:
    found = entry(kind, call.name)
    assert found is not None
    given: dict[str, Any] = dict(call.arguments)
    if "scale" in given and given["scale"] == given.get("T", 1.0) ** 2:
        del given["scale"]  # which is the default at any temperature
    defaults = _defaults(found)
    for name, value in given.items():
        usual = name in defaults and defaults[name] == value and kind != "optimizer"
        if usual or value is None:
            continue
        if name == found.variadic:
            yield from (_value(each, names) for each in value)
        else:
            field = found.model_fields.get(name)
            is_word = field is not None and get_origin(field.annotation) is Literal
            yield f"{name}={value if is_word else _value(value, names)}"


def _defaults(cls: type[Parameters]) -> dict[str, Any]:
    """The defaults of an entry's parameters as they stand in plans."""
    found = {}
    for name, field in cls.model_fields.items():
        if not field.is_required():
            value = field.get_default(call_default_factory=True)
            dump = getattr(value, "call", None)
            found[name] = {**dump().model_dump()} if dump else value
    return found


def _value(value: Any, names: Mapping[str, str] | None) -> str:
    match value:
        case {"node": node, "tap": tap}:
            return f"{(names or {}).get(node, node)}.{shown_path(tap)}"
        case {"node": name}:
            return (names or {}).get(name, name)
        case {"name": str(name), "arguments": dict(arguments)}:
            return _call("combine", Call(name=name, arguments=arguments), names)
        case list():
            return f"[{', '.join(_value(each, names) for each in value)}]"
    # The text of a call is what its arguments are printed with.
    return str(Call(name="x", arguments={"x": value})).removeprefix("x(x=").removesuffix(")")


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


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
        "root": None if data.root is None else _string(Path(data.root).as_posix()),
        "classes": None if data.classes_expected is None else str(data.classes_expected),
        "labeled": None if data.labeled is None else _samples(data.labeled),
        "views": None if data.views == 1 else str(data.views),
        "workers": None if data.workers == 0 else str(data.workers),
    }
    return _block(f"data {_call('dataset', data.source)}", settings)


def _samples(samples: int | Percent) -> str:
    return str(samples) if isinstance(samples, int) else f"{shown(samples.percent)}%"


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
