"""Which `let`s are defined by themselves, directly or through others."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ktgdsl.language.syntax import Call, File, Let
from ktgdsl.language.walk import walk

Links = Mapping[str, Sequence[str]]


def circular(file: File) -> dict[str, tuple[Let, list[str]]]:
    """The `let`s that are defined by themselves, with the others that lead them back."""
    lets = {s.name: s for s in file.statements if isinstance(s, Let)}
    mentions = {
        name: [p.name for p in walk(let.value) if isinstance(p, Call) and p.name in lets]
        for name, let in lets.items()
    }
    return {
        name: (lets[name], sorted(set(knot) - {name}))
        for knot in _knots(mentions)
        for name in knot
        if len(knot) > 1 or name in mentions[name]
    }


def _knots(links: Links) -> Iterator[list[str]]:
    """The strongly connected components (Kosaraju's algorithm)."""
    back: dict[str, list[str]] = {name: [] for name in links}
    for name, others in links.items():
        for other in others:
            back[other].append(name)
    seen: set[str] = set()
    for name in reversed(_left(links, links, set())):
        if name not in seen:
            yield _left(back, [name], seen)


def _left(links: Links, roots: Iterable[str], seen: set[str]) -> list[str]:
    """Everything new that the roots lead to, in the order in which a deep search leaves it."""
    left = []
    waiting = [(root, False) for root in roots]
    while waiting:
        name, done = waiting.pop()
        if done:
            left.append(name)
        elif name not in seen:
            seen.add(name)
            waiting.append((name, True))
            waiting.extend((other, False) for other in links[name])
    return left
