"""The words of each kind: every class of the vocabulary that has a `word`."""

from functools import cache
from importlib import import_module
from typing import TypeVar

from ktgdsl.vocabulary.call import Call
from ktgdsl.vocabulary.entry import Entry, Parameters
from ktgdsl.vocabulary.networks import expand_shorthand

# The modules of each kind, the most common words first. A module is imported when a word is
# looked up that none before it has. Measured: all of them add a twentieth to `ktgc check`.
_MODULES = {
    "network": ("networks", "foreign_networks", "derived"),
    "loss": ("losses", "logit_losses", "feature_losses"),
    "gate": ("gates", "timed_gates", "predicates"),
    "optimizer": ("optimizers", "adam"),
    "schedule": ("optimizers", "schedules"),
    "stop": ("stopping",),
    "dataset": ("datasets", "images"),
    "combine": ("combines",),
    "sampler": ("search",),
    "pruner": ("search",),
    "objective": ("search",),
}
KINDS = tuple(_MODULES)

_BLOCKS = {
    "node": ("settings", "NodeSettings"),
    "share": ("rare_settings", "ShareSettings"),
    "data": ("settings", "DataSettings"),
    "train": ("settings", "TrainSettings"),
    "pretrain": ("rare_settings", "PretrainSettings"),
    "phase": ("rare_settings", "PhaseSettings"),
    "search": ("search", "SearchSettings"),
}
BLOCKS = tuple(_BLOCKS)
"""The owners of settings: the first part of paths such as `train.epochs`."""

_Entry = TypeVar("_Entry", bound=Entry)


@cache
def entry(kind: str, word: str) -> type[Entry] | None:
    """The entry that a word of a kind is, or None; a short form such as `resnet8` is none."""
    if kind == "network" and expand_shorthand(word):
        return None  # without a look at the modules of rare words
    for module in _MODULES[kind]:
        if found := _defined_in(module, kind).get(word):
            return found
    return None


def settings_of(block: str) -> type[Parameters]:
    """The settings that a block, or a node or share, may have."""
    module, name = _BLOCKS[block]
    found: type[Parameters] = getattr(import_module(f"ktgdsl.vocabulary.{module}"), name)
    return found


def entry_of(base: type[_Entry], call: Call) -> _Entry:
    """The entry that a call of a plan stands for, e.g. `entry_of(Loss, call)`.

    ValueError where there is no such word.
    """
    found = entry(base.kind, call.name)
    if found is None or not issubclass(found, base):
        raise ValueError(f"there is no {base.kind} `{call.name}`")
    return found.from_call(call)


@cache
def entries(kind: str) -> dict[str, type[Entry]]:
    """The entries of a kind by their words."""
    return {
        word: found
        for module in _MODULES[kind]
        for word, found in _defined_in(module, kind).items()
    }


def words(kind: str) -> list[str]:
    """Every word of a kind."""
    return sorted(entries(kind))


def kinds_of(word: str) -> list[str]:
    """The kinds that have a word; `resnet8` and the like are networks."""
    kinds = [kind for kind in KINDS if word in entries(kind)]
    return kinds or (["network"] if expand_shorthand(word) else [])


@cache
def _defined_in(module: str, kind: str) -> dict[str, type[Entry]]:
    """The words of a kind that a module defines; base classes have no `word`."""
    path = f"ktgdsl.vocabulary.{module}"
    return {
        defined.word: defined
        for name, defined in vars(import_module(path)).items()
        if isinstance(defined, type)
        and issubclass(defined, Entry)
        and defined.__module__ == path
        and not name.startswith("_")
        and getattr(defined, "kind", None) == kind
        and hasattr(defined, "word")
    }
