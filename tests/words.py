"""Words of the vocabulary for tests: their entries, what each needs, and what a text means."""

from typing import Any

from ktgdsl.diagnostics.source import Source
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.syntax.parse import parse_value
from ktgdsl.vocabulary.entry import Entry
from ktgdsl.vocabulary.refs import NodeRef, PhaseRef, Tap
from ktgdsl.vocabulary.registry import KINDS, entries

A = NodeRef("a")
H0 = NodeRef("h", 0)
STAGE1, STAGE2 = Tap("stage1"), Tap("stage2")

ALL = [each for kind in KINDS for each in entries(kind).values()]
"""The entries of all kinds."""

# What has no default, kind by kind.
_REQUIRED: dict[str, dict[str, Any]] = {
    "network resnet": {"depth": 8},
    "network wrn": {"depth": 16, "widen": 2},
    "network python": {"function": "m:f"},
    "network torchvision": {"name": "resnet18"},
    "network timm": {"name": "resnet18"},
    "network ensemble": {"members": [NodeRef("h")]},
    "network ema": {"of": A},
    "network copy": {"of": A},
    "loss python": {"function": "m:f"},
    "loss fsp": {"with": STAGE2},
    "loss irg": {"taps": [STAGE1, STAGE2]},
    "gate until": {"moment": 3.0},
    "gate after": {"moment": 3.0},
    "gate rampup": {"length": 80.0},
    "gate during": {"phases": [PhaseRef("hints")]},
    "gate shard": {"index": 0, "count": 2},
    "gate python": {"function": "m:f"},
    "schedule step": {"every": 60.0},
    "schedule multistep": {"at": [40.0, 60.0]},
    "dataset folder": {"path": "flowers"},
    "dataset python": {"function": "m:f"},
    "combine gated": {"by": Tap("stage2", H0)},
    "objective accuracy": {"of": A},
}


def name_of(entry: type[Entry]) -> str:
    """The kind and the word, such as `gate linear`."""
    return f"{entry.kind} {entry.word}"


def named(name: str) -> type[Entry]:
    """The entry of a kind and word such as `gate linear`."""
    kind, word = name.split()
    return entries(kind)[word]


def required(entry: type[Entry]) -> dict[str, Any]:
    """Values of the parameters that have no default."""
    return _REQUIRED.get(name_of(entry), {})


def resolved(kind: str, text: str, resolver: Resolver) -> Entry | None:
    """The entry that a text means where a word of the kind stands."""
    value, problems = parse_value(Source("spec.ktg", text))
    assert value is not None, (text, problems)
    return resolver.word(value, kind)


def found(kind: str, text: str) -> Entry:
    """The entry that a sound text means."""
    resolver = Resolver({})
    entry = resolved(kind, text, resolver)
    assert entry is not None, (text, [each.message for each in resolver.diagnostics])
    return entry
