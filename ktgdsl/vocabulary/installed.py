"""Words of installed packages: short for `python("pkg.module:name")`, by their entry points.

Nothing of a package is imported: its metadata say what its words are.
"""

from functools import cache
from typing import NamedTuple

GROUPS = {
    "loss": "ktgdsl.losses",
    "gate": "ktgdsl.gates",
    "network": "ktgdsl.networks",
    "dataset": "ktgdsl.data",
}
"""The group of entry points of each kind of words that packages may add."""


class InstalledWord(NamedTuple):
    """A word of a package: the callable that it stands for, and the package's name."""

    function: str
    package: str


@cache
def installed_words(kind: str) -> dict[str, tuple[InstalledWord, ...]]:
    """The words of a kind that packages add; one that several add for different callables has each.

    Empty for kinds that packages cannot add to.
    """
    if kind not in GROUPS:
        return {}
    from importlib.metadata import entry_points  # which costs start-up

    found: dict[str, dict[str, str]] = {}
    for point in entry_points(group=GROUPS[kind]):
        package = point.dist.name if point.dist else "?"
        found.setdefault(point.name, {}).setdefault(f"{point.module}:{point.attr}", package)
    return {
        word: tuple(InstalledWord(*each) for each in functions.items())
        for word, functions in found.items()
    }
