"""Readable names of metrics for tools that allow only some characters."""

import re

MOST = 250
"""Letters of a name."""

_OTHER = re.compile(r"[^\w.:/ -]")


def plain_name(name: str) -> str:
    """The name with letters, digits and `_-.:/ ` alone: `open/b to a` for `open/b->a`.

    It is no path to anywhere else, either: no part of it is empty or consists of dots.
    """
    text = re.sub(r"\s*->\s*", " to ", name)
    text = re.sub(r"\[(\w+)\]", r".\1", text)  # of an array
    text = _OTHER.sub("_", text.replace('"', ""))
    parts = (part.strip() for part in text.split("/"))
    return "/".join(part if part.strip(".") else f"_{part}" for part in parts)[:MOST]


class PlainNames:
    """Plain names of one run: different ones for different names, in the order of their use."""

    def __init__(self) -> None:
        self._plain: dict[str, str] = {}
        self._taken: set[str] = set()

    def __getitem__(self, name: str) -> str:
        if name not in self._plain:
            plain, number = plain_name(name), 2
            while plain in self._taken:
                plain, number = f"{plain_name(name)[: MOST - 8]} {number}", number + 1
            self._plain[name] = plain
            self._taken.add(plain)
        return self._plain[name]
