"""Looking words up: which entry a word of a kind is, and what else it could have been."""

from functools import cache
from importlib import import_module

from ktgdsl.vocabulary.entry import Entry

# Kind -> where its entries are, as (module, name). A module is imported when a word is looked
# up that none before it has: most specs need the first ones only.
_KINDS = {
    "network": (("networks", "ENTRIES"), ("derived", "ENTRIES")),
    "loss": (
        ("losses", "ENTRIES"),
        ("logit_losses", "ENTRIES"),
        ("feature_losses", "ENTRIES"),
    ),
    "gate": (("gates", "ENTRIES"), ("predicates", "ENTRIES")),
    "optimizer": (("optimizers", "OPTIMIZERS"),),
    "schedule": (("optimizers", "SCHEDULES"),),
    "dataset": (("datasets", "ENTRIES"), ("images", "ENTRIES")),
    "combine": (("derived", "COMBINES"),),
    "sampler": (("search", "SAMPLERS"),),
    "pruner": (("search", "PRUNERS"),),
    "objective": (("search", "OBJECTIVES"),),
}
KINDS = tuple(_KINDS)


@cache
def _of(module: str, name: str) -> dict[str, type[Entry]]:
    found: tuple[type[Entry], ...] = getattr(import_module(f"ktgdsl.vocabulary.{module}"), name)
    return {entry.word: entry for entry in found}


@cache
def entry(kind: str, word: str) -> type[Entry] | None:
    """The entry that a word of a kind is, or None."""
    return next((at[word] for place in _KINDS[kind] if word in (at := _of(*place))), None)


@cache
def entries(kind: str) -> dict[str, type[Entry]]:
    """The entries of a kind by their words."""
    return {word: each for place in _KINDS[kind] for word, each in _of(*place).items()}


def words(kind: str) -> list[str]:
    """Every word of a kind."""
    return sorted(entries(kind))


def kinds_of(word: str) -> list[str]:
    """The kinds that have a word; `resnet8` and the like are networks."""
    found = [kind for kind in KINDS if word in entries(kind)]
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
