"""Names of the modules and values in a training graph."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

_Key = TypeVar("_Key")


@lru_cache(maxsize=4096)
def identifier(name: str) -> str:
    """A name of the language as a part of a name in Python."""
    return re.sub(r"\W+", "_", name).strip("_")


def unique(names: Mapping[_Key, str]) -> dict[_Key, str]:
    """The same names, with a `_` where another has it already."""
    found: dict[_Key, str] = {}
    taken: set[str] = set()
    for key, name in names.items():
        while name in taken:
            name += "_"
        taken.add(name)
        found[key] = name
    return found
