"""The tables of grammar/README.md, made from the vocabulary, the settings and the codes.

`python -m tests.reference_tables` writes them into the file, between `<!-- table NAME -->` and
`<!-- end -->`. A name is a kind of words, a block with settings, `trained` or `codes`.
"""

import re
from collections.abc import Iterable, Iterator
from inspect import cleandoc

from pydantic.fields import FieldInfo

from ktgdsl.backend.factories import FACTORIES
from ktgdsl.backend.missing import missing
from ktgdsl.diagnostics.diagnostic import CODES
from ktgdsl.diagnostics.explanations import FAMILIES, subject
from ktgdsl.report.explain import BLOCKS
from ktgdsl.report.parameters import default_text, type_text
from ktgdsl.training.datasets.read import READERS
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.gates import Gate
from ktgdsl.vocabulary.losses import Loss
from ktgdsl.vocabulary.networks import Derived
from ktgdsl.vocabulary.refs import ReferringEntry
from ktgdsl.vocabulary.registry import KINDS, entries
from tests.paths import ROOT
from tests.specs import graph, sound
from tests.words import named, tap_for, variants

README = ROOT / "grammar" / "README.md"
MARKED = re.compile(r"(<!-- table (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
COMMAND = "python -m tests.reference_tables"

Row = tuple[str, ...]

_NODES = "node a, b = resnet8\ntarget a\nedge label -> *\n"
_CONSTRUCTS = {
    "edges between outputs": "edge b -> a",
    "taps": "edge b.stage2 -> a.stage2 : hint",
    "terms without a source": "edge a : -0.1 * entropy",
    "`share`": "edge b -> a\nshare a, b { layers = [stem] }",
    "`phase`": "edge b -> a\n}\nphase one { learn = [a, b]",
    "edges between two views": "edge a -> a : mse\n}\ndata digits { views = 2",
}
"""What a graph may have beside words, each as the end of a graph that has it."""

_VALUES = {
    "node": {
        "frozen": "true", "optimizer": "sgd", "schedule": "constant", "mode": "train",
        "keep": "true", "device": '"cpu"',
    },
    "data": {
        "batch": "32", "samples": "50%", "validation": "10%", "holdout": "true",
        "augment": "standard", "resize": "16", "crop": "center resize = 16",
        "mean": "0.5 std = 0.5", "std": "0.5 mean = 0.5",
        "root": '"data"', "classes": "10", "labeled": "50%", "labeled_batch": "32 labeled = 50%",
        "views": "2", "workers": "2",
        "drop_last": "false", "evaluation_batch": "64",
    },
    "train": {
        "epochs": "5", "optimizer": "adamw", "schedule": "cosine", "precision": "bf16",
        "compile": "on", "seed": "1", "repeats": "2", "update": "sequential",
        "aggregate": "mean", "reduce": "active", "on_zero": "skip", "clip": "1",
        "take": "best } data digits { holdout = true",
        "stop": "patience } data digits { holdout = true", "checkpoint": "5",
    },
    "pretrain": {
        "epochs": "5", "optimizer": "adamw", "schedule": "cosine", "precision": "bf16",
        "compile": "on", "reduce": "active", "on_zero": "skip", "clip": "1",
        "take": "best } data digits { holdout = true",
        "stop": "patience } data digits { holdout = true",
    },
}  # fmt: skip
"""A value other than the default for every setting; `weights` of a node needs a file."""


def with_tables(text: str) -> str:
    """The text with every table as it is now. Raises KeyError where there is no such table."""
    made = tables()
    return MARKED.sub(lambda found: f"{found[1]}{made[found[2]]}{found[4]}", text)


def tables() -> dict[str, str]:
    """All tables by their names."""
    found = {kind: _table(("word", "meaning", "source"), words(kind)) for kind in KINDS}
    for block in BLOCKS:
        found[block] = _table(("setting", "takes; default", "meaning"), settings(block))
    found["trained"] = _table(("", "trained", "checked and planned only"), _trained())
    found["codes"] = _table(("code", "meaning"), _codes())
    return found


def words(kind: str) -> Iterator[Row]:
    """Each word with its parameters, the first paragraph of its meaning, and its source."""
    for word, entry in entries(kind).items():
        meaning, *source = re.split(r"\bSource:\s+", cleandoc(str(entry.__doc__)), maxsplit=1)
        paragraph = "".join(source).split("\n\n")[0]
        told = paragraph[:1].upper() + paragraph[1:]
        yield f"`{word}{_parameters(entry)}`", meaning.split("\n\n")[0], told


def settings(block: str) -> Iterator[Row]:
    """Each setting of a block, what it takes unless what, and its meaning."""
    for name, field in BLOCKS[block].model_fields.items():
        yield f"`{name}`", f"{type_text(field)}; {_default(field)}", field.description or ""


def _table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in lines)


def _cell(text: str) -> str:
    """A text in one line, in which `|` ends no cell."""
    return " ".join(text.split()).replace("|", r"\|")


def _parameters(entry: type[Entry]) -> str:
    """`(depth, widen, dropout=0)`; what may be left out and has no default is in brackets."""
    told = [_parameter(entry, name) for name in entry.positions()]
    told += ["..."] if entry.model_config.get("extra") == "allow" else []
    return f"({', '.join(told)})" if told else ""


def _parameter(entry: type[Entry], name: str) -> str:
    field = entry.model_fields[name]
    if name == entry.variadic:
        return f"{name}..."
    if field.is_required():
        return name
    value = default_text(field)
    return f"[{name}]" if value is None else f"{name}={value}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = default_text(field)
    return "optional" if value is None else f"default `{value}`"


def _trained() -> Iterator[Row]:
    """What of the language this version can train, and what it cannot train yet."""
    nodes = entries("network")
    derived = [word for word, entry in nodes.items() if issubclass(entry, Derived)]
    yield _divided("networks", [word for word in nodes if word not in derived], FACTORIES)
    yield _divided("derived nodes", derived, [word for word in derived if _trains(_derived(word))])
    yield _divided("losses", entries("loss"), filter(_loss_trains, entries("loss")))
    yield _divided("gates", entries("gate"), filter(_gate_trains, entries("gate")))
    yield _divided("data sets", entries("dataset"), READERS)
    able = [what for what, text in _CONSTRUCTS.items() if _trains(text)]
    rest = [what for what in _CONSTRUCTS if what not in able]
    yield "constructs", ", ".join(able), ", ".join(rest)
    for block, values in _VALUES.items():
        known = [name for name, value in values.items() if _trains(*_set(block, name, value))]
        known += ["weights", "cache"] if block == "node" else []
        yield _divided(f"settings of `{block}`", BLOCKS[block].model_fields, known)


def _divided(what: str, names: Iterable[str], trained: Iterable[str]) -> Row:
    able = frozenset(trained)
    told = [(name in able, f"`{name}`") for name in names]
    return what, ", ".join(t for yes, t in told if yes), ", ".join(t for yes, t in told if not yes)


def _loss_trains(word: str) -> bool:
    loss = next(variants(named(f"loss {word}")))
    assert isinstance(loss, Loss)
    tap = tap_for(loss)
    edges = {"node": f"b{tap} -> a{tap}", "label": "label -> a", "nothing": "a"}
    sources = loss.sources - ({"label"} if loss.from_label() else set())
    return any(_trains(f"edge {edges[each]} : {loss.call()}") for each in sources)


def _gate_trains(word: str) -> bool:
    gate = next(variants(named(f"gate {word}")))
    assert isinstance(gate, Gate)
    if gate.folds:
        return not isinstance(gate, ReferringEntry) or _trains(_CONSTRUCTS["`phase`"])
    return _trains(f"edge b -> a via {gate.call()}", "data digits { augment = paper views = 2 }")


def _derived(word: str) -> str:
    argument = "" if word == "constant" else "(b)"
    return f"node made = {word}{argument}\nedge made -> a"


def _set(block: str, name: str, value: str) -> tuple[str, str]:
    if block == "node":
        return f"node c = resnet8 {{ {name} = {value} }}\nedge c -> a", ""
    head = "data digits" if block == "data" else block
    return "edge b -> a", f"{head} {{ {name} = {value} }}"


def _trains(body: str, more: str = "") -> bool:
    return not list(missing(sound(graph(_NODES + body, more))))


def _codes() -> Iterator[Row]:
    for family in FAMILIES:
        yield f"**{family}**", f"**{subject(family)}**"
        yield from ((f"`{code}`", title) for code, title in CODES.items() if code[:2] == family)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text("utf-8")), "utf-8")
