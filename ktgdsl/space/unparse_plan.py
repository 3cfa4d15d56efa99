"""Unparses a plan: the text of a `.ktg` file that compiles to it."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from ktgdsl.diagnostics.source import Source
from ktgdsl.lowering.moved_specs import use_folders
from ktgdsl.lowering.passes import FROZEN
from ktgdsl.plan.gate_expressions import gate_calls
from ktgdsl.plan.model import (
    FOLLOWERS,
    Call,
    DerivedNode,
    Node,
    Percent,
    Plan,
    PretrainPlan,
    SharedLayers,
)
from ktgdsl.space.unparse_calls import arguments_text, call_text, defaults_of, value_text
from ktgdsl.space.unparse_edges import edges_text, listed
from ktgdsl.syntax.format import format_source
from ktgdsl.syntax.project import project_root
from ktgdsl.vocabulary.call import format_number, format_path
from ktgdsl.vocabulary.networks import Network, expand_shorthand, shorthand
from ktgdsl.vocabulary.python import Python
from ktgdsl.vocabulary.registry import entry_of
from ktgdsl.vocabulary.settings import DataSettings, TrainSettings


def unparse_plan(plan: Plan, folder: Path, header: Sequence[str] = ()) -> str:
    """The spec that means a plan: compiled in `folder`, it has the plan's digest.

    `header` stands above it as comments. Nodes of an array that differ from each other, or
    are not all there, become single nodes with names of their own, `p_0`; then only the
    canonical digest is the same, and that only if none of them is a target.

    Raises ValueError when the plan leaves something open, or is larger than a spec may be.
    """
    if plan.space is not None:
        raise ValueError("a plan with open values is no spec")
    names = _names(plan)
    arrays = _arrays(names)
    lines = [f"# {line}" for text in header for line in text.splitlines() or [""]] + [""]
    base = _base(plan, folder)
    if base is not None:
        files = [node.weights_file.file for node in plan.graph.nodes if node.weights_file]
        lines += [*use_folders(base, folder, map(Path, files)), ""]
    lines += [f"graph {plan.graph.name} {{", *_nodes(plan, names, base or folder)]
    lines += [f"target {listed((names[name] for name in plan.graph.targets), arrays)}", ""]
    for share in plan.graph.shares:
        shared = listed((names[name] for name in share.nodes), arrays)
        grad = None if share.grad == "sum" else share.grad
        layers = ", ".join(map(format_path, _from_the_input(plan, share)))
        own = {"layers": f"[{layers}]", "grad": grad}
        lines.append(f"share {shared}{_inline(own)}")
    lines += [*edges_text(plan, names, arrays), "}", "", *_data(plan, folder), "", *_train(plan)]
    if plan.pretrain is not None:
        lines += ["", *_pretrain(plan, plan.pretrain)]
    for phase in plan.phases:
        learn = listed((names[name] for name in phase.learn), arrays)
        settings = {
            "learn": f"[{learn}]",
            "epochs": None if phase.epochs == plan.train.epochs else str(phase.epochs),
            "optimizer": _unless(phase.optimizer, None, "optimizer"),
            "schedule": _unless(phase.schedule, None, "schedule"),
            "take": None if phase.take == plan.train.take else phase.take,
            "stop": None if phase.stop == plan.train.stop else _stop(phase.stop),
        }
        lines += ["", *_block(f"phase {phase.name}", settings)]
    text, problems = format_source(Source("<plan>", "\n".join(lines).lstrip() + "\n"))
    if text is None:
        raise ValueError(f"this plan is no spec: {problems[0].message}")
    return text


def _base(plan: Plan, folder: Path) -> Path | None:
    """The folder that the paths of the spec are relative to; None for the spec's own folder.

    Own modules are looked up there, and weights have to lie in its project.
    """
    if plan.folder is None or Path(plan.folder) == folder.resolve():
        return None
    files = [Path(node.weights_file.file) for node in plan.graph.nodes if node.weights_file]
    project = project_root(folder)
    inside = all(file.is_relative_to(project) for file in files)
    return None if inside and not _has_own_code(plan) else Path(plan.folder)


def _has_own_code(plan: Plan) -> bool:
    calls = [node.network for node in plan.graph.nodes]
    for term in (term for edge in plan.graph.edges for term in edge.terms):
        calls += [*(part.loss for part in term.parts), *gate_calls(term.gate)]
    return any(call.name == Python.word for call in calls)


def _names(plan: Plan) -> dict[str, str]:
    """The name of each node in the text: new ones for arrays that are incomplete or mixed."""
    nodes: list[Node | DerivedNode] = [*plan.graph.nodes, *plan.graph.derived]
    arrays: dict[str, list[Node | DerivedNode]] = {}
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


def _alike(members: Sequence[Node | DerivedNode], kept: Mapping[str, Sequence[str]]) -> bool:
    """Whether one statement can declare the nodes of an array; `kept` are those before it."""
    first, *others = map(_declared, members)
    if any(other != first for other in others):
        return False
    if isinstance(first, Node) or first.made.name not in FOLLOWERS:
        return True
    sources = [node.sources[0] for node in members if isinstance(node, DerivedNode)]
    return sources in kept.values()


def _declared(node: Node | DerivedNode) -> Node | DerivedNode:
    """The node as its statement declares it: `frozen` only where edges do not imply it."""
    if isinstance(node, Node):
        frozen = FROZEN if node.frozen == FROZEN else None
        return node.model_copy(update={"name": "", "frozen": frozen})
    sources = () if node.follows is not None else node.sources
    return node.model_copy(update={"name": "", "sources": sources})


def _arrays(names: Mapping[str, str]) -> Counter[str]:
    """How many nodes the arrays of the spec have."""
    return Counter(name.partition("[")[0] for name in names.values() if "[" in name)


def _from_the_input(plan: Plan, share: SharedLayers) -> tuple[str, ...]:
    """The layers of a share, after those that its nodes share with further ones."""
    around = (each for each in plan.graph.shares if set(each.nodes) > set(share.nodes))
    return (*(layer for each in around for layer in each.layers), *share.layers)


def _nodes(plan: Plan, names: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Equal neighbours stand together; of an array there is one statement."""
    arrays = _arrays(names)
    networks: dict[str, str] = {}
    for node in plan.graph.nodes:
        short = shorthand(node.network)
        what = short if expand_shorthand(short) else call_text("network", node.network)
        base, bracket, _ = names[node.name].partition("[")
        name = f"{base}[{arrays[base]}]" if bracket else base
        networks.setdefault(name, what + _inline(_node_settings(plan, node, folder)))
    for what, group in groupby(networks.items(), key=lambda pair: pair[1]):
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
        if bracket and derived.follows is not None:
            name, sources = base, [sources[0].partition("[")[0]]  # as long as the other array
        of = [listed(sources, arrays)] if sources else []
        told_of = ", ".join([*of, *arguments_text("network", derived.made, names)])
        word = f"{derived.made.name}({told_of})" if told_of else derived.made.name
        made.setdefault(name, word + _inline(own))
    yield from (f"node {name} = {what}" for name, what in made.items())


def _node_settings(plan: Plan, node: Node, folder: Path) -> dict[str, str | None]:
    block = plan.pretrain if node.pretrained and plan.pretrain else plan.train
    return {
        "weights": _weights(node, folder),
        "frozen": "true" if node.frozen == FROZEN else None,
        "optimizer": _unless(node.optimizer, block.optimizer, "optimizer"),
        "schedule": _unless(node.schedule, block.schedule, "schedule"),
        "mode": None if node.mode == "eval" else node.mode,
        "cache": None if node.cache == "none" else node.cache,
        "keep": "true" if node.keep else None,
        "device": None if node.device is None else value_text(node.device),
        "heads": f"[{', '.join(node.heads)}]" if node.heads else None,
    }


def _weights(node: Node, folder: Path) -> str | None:
    if node.weights_file is None:
        own = node.weights == "own" and not entry_of(Network, node.network).has_weights
        return "own" if own else None
    # The file is where links lead, and `..` of the spec begins there too.
    relative = os.path.relpath(node.weights_file.file, folder.resolve())
    return value_text(Path(relative).as_posix())


def _unless(call: Call | None, default: Call | None, kind: str) -> str | None:
    return None if call is None or call == default else call_text(kind, call)


def _data(plan: Plan, folder: Path) -> list[str]:
    data, defaults = plan.data, defaults_of(DataSettings)
    share = defaults["validation"].percent
    whole = data.samples if data.facts is None else data.train_samples
    usual = round(whole * share / 100) if isinstance(whole, int) else Percent(percent=share)
    validation = None if data.validation == usual else _samples(data.validation)
    at_once = data.evaluation_batch
    settings = {
        "batch": str(data.batch),
        "samples": None if data.samples is None else _samples(data.samples),
        "validation": validation,
        "holdout": "true" if data.holdout else None,
        "augment": None if data.augment == defaults["augment"] else data.augment,
        "resize": None if data.resize is None else value_text([*data.resize]),
        "crop": data.crop,
        "mean": None if data.mean is None else value_text([*data.mean]),
        "std": None if data.std is None else value_text([*data.std]),
        "root": None if data.root is None else value_text(Path(data.root).as_posix()),
        "classes": None if data.classes_expected is None else str(data.classes_expected),
        "labeled": None if data.labeled is None else _samples(data.labeled),
        "labeled_batch": None if data.labeled_batch is None else str(data.labeled_batch),
        "views": None if data.views == 1 else str(data.views),
        "workers": None if data.workers == 0 else str(data.workers),
        "drop_last": None if data.drop_last else "false",
        "evaluation_batch": None if at_once is None else str(at_once),
    }
    return _block(f"data {call_text('dataset', data.source)}", settings)


def _samples(samples: int | Percent) -> str:
    return str(samples) if isinstance(samples, int) else value_text({"percent": samples.percent})


def _train(plan: Plan) -> list[str]:
    train, defaults = plan.train, defaults_of(TrainSettings)
    settings: dict[str, str | None] = {
        "epochs": str(train.epochs),
        "optimizer": call_text("optimizer", train.optimizer),
        "schedule": call_text("schedule", train.schedule),
    }
    for name in type(train).model_fields:
        value = getattr(train, name)
        if name == "stop":
            settings[name] = None if value is None else _stop(value)
        elif name == "metrics":
            settings[name] = _plain_text(value) if value else None
        elif name not in settings and value != defaults[name]:
            settings[name] = _plain_text(value)
    return _block("train", settings)


def _pretrain(plan: Plan, pretrain: PretrainPlan) -> list[str]:
    settings = {
        name: call_text(name, value) if isinstance(value, Call) else _plain_text(value)
        for name, value in pretrain
        if name != "stop" and value != getattr(plan.train, name)
    }
    if pretrain.stop != plan.train.stop:
        settings["stop"] = _stop(pretrain.stop)
    return _block("pretrain", settings)


def _stop(call: Call | None) -> str:
    return "never" if call is None else call_text("stop", call)


def _plain_text(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return format_number(value) if isinstance(value, float) else str(value)


def _block(head: str, settings: Mapping[str, str | None]) -> list[str]:
    return [f"{head} {{", *_settings(settings), "}"]


def _inline(settings: Mapping[str, str | None]) -> str:
    text = " ".join(_settings(settings))
    return f" {{ {text} }}" if text else ""


def _settings(settings: Mapping[str, str | None]) -> Iterable[str]:
    return [f"{name} = {value}" for name, value in settings.items() if value is not None]
