"""Looking words up: which entry a word of a kind is, and what else it could have been."""

from functools import cache
from importlib import import_module

from ktgdsl.vocabulary.entry import Entry

# Kind -> (module, name of its entries); a module is imported when a word of it is looked up.
_KINDS = {
    "network": ("networks", "ENTRIES"),
    "loss": ("losses", "ENTRIES"),
    "gate": ("gates", "ENTRIES"),
    "optimizer": ("optimizers", "OPTIMIZERS"),
    "schedule": ("optimizers", "SCHEDULES"),
    "dataset": ("datasets", "ENTRIES"),
}
KINDS = tuple(_KINDS)

# The same for what the language has and this version does not support yet.
_PLANNED = {
    "network": (("more_networks", "ENTRIES"), ("derived", "ENTRIES")),
    "loss": (("logit_losses", "ENTRIES"), ("feature_losses", "ENTRIES")),
    "gate": (("more_gates", "ENTRIES"),),
    "dataset": (("more_datasets", "ENTRIES"),),
    "combine": (("derived", "COMBINES"),),
    "sampler": (("search", "SAMPLERS"),),
    "pruner": (("search", "PRUNERS"),),
    "objective": (("search", "OBJECTIVES"),),
}
PLANNED_KINDS = tuple(kind for kind in _PLANNED if kind not in _KINDS)
"""Kinds of which no word is supported yet."""


@cache
def entries(kind: str) -> dict[str, type[Entry]]:
    """The entries of a kind by their words."""
    module, name = _KINDS[kind]
    found: tuple[type[Entry], ...] = getattr(import_module(f"ktgdsl.vocabulary.{module}"), name)
    return {entry.word: entry for entry in found}


@cache
def planned(kind: str) -> dict[str, type[Entry]]:
    """The entries of a kind that are not supported yet, by their words."""
    found: dict[str, type[Entry]] = {}
    for module, name in _PLANNED.get(kind, ()):
        for entry in getattr(import_module(f"ktgdsl.vocabulary.{module}"), name):
            found[entry.word] = entry
    return found


@cache
def later(kind: str) -> frozenset[str]:
    """The words of a kind that the language has and this version does not support yet."""
    module = import_module(f"ktgdsl.vocabulary.{_KINDS[kind][0]}")
    words: frozenset[str] = getattr(module, "LATER", frozenset())
    return words


def words(kind: str) -> list[str]:
    """Every word of a kind, supported or not."""
    return sorted(entries(kind).keys() | later(kind))


def kinds_of(word: str) -> list[str]:
    """The kinds that have a word; `resnet8` and the like are networks."""
    found = [kind for kind in KINDS if word in entries(kind) or word in later(kind)]
    if not found:
        from ktgdsl.vocabulary.networks import spelled_out

        found = ["network"] if spelled_out(word) else []
    return found


def closest(word: str, candidates: "list[str] | set[str] | frozenset[str]") -> str | None:
    """The candidate that a misspelt word most probably meant, or None."""
    import difflib  # only a mistake needs it

    folded = {candidate.casefold(): candidate for candidate in sorted(candidates)}
    if word.casefold() in folded:
        return folded[word.casefold()]
    matches = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[matches[0]] if matches else None
