"""Finds `let`s that cannot be used: circular ones, and those too large or too deep to expand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.syntax.boundaries import MAX_LEVELS
from ktgdsl.syntax.tree import (
    Argument,
    Binary,
    CallExpression,
    Choice,
    File,
    Let,
    List,
    Range,
    Syntax,
    Unary,
)
from ktgdsl.syntax.walk import children, walk

MAX_PARTS = 4096
"""How many numbers, names and operators a `let` may expand to."""

Links = Mapping[str, Sequence[str]]


def unusable(file: File) -> dict[str, Diagnostic]:
    """The `let`s that have no value, by name, and why."""
    return _refused(file)[0]


def too_deep(file: File) -> Iterator[Diagnostic]:
    """Errors about values that are nested too deep only once their `let`s are expanded."""
    _, sizes = _refused(file)
    deepest = max((levels for levels, _ in sizes.values()), default=0)
    if deepest:
        for value in (v for s in file.statements if not isinstance(s, Let) for v in _values(s)):
            # Each level of a value has a character at least, which is much faster to see.
            short = value.span.end - value.span.start + deepest <= MAX_LEVELS
            if not short and _size(value, sizes)[0] > MAX_LEVELS:
                message = f"this, with the `let`s in it, is more than {MAX_LEVELS} levels deep"
                yield Diagnostic("E003", message, value.span)


def _values(part: Syntax) -> Iterator[Syntax]:
    """The outermost composite values in a part of the tree."""
    if isinstance(part, List | CallExpression | Unary | Binary | Choice | Range):
        yield part
    else:
        for child in children(part):
            yield from _values(child)


def _refused(file: File) -> tuple[dict[str, Diagnostic], dict[str, tuple[int, int]]]:
    """The `let`s that have no value, and the levels and parts of the others."""
    lets = {s.name: s for s in file.statements if isinstance(s, Let)}
    mentions = {
        name: [p.name for p in walk(let.value) if isinstance(p, CallExpression) and p.name in lets]
        for name, let in lets.items()
    }
    found: dict[str, Diagnostic] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for component in strong_components(mentions):
        ordered = sorted(component)
        for name in component:
            sizes[name] = 0, 1
            if len(component) > 1 or name in mentions[name]:
                found[name] = _circular(lets[name], ordered)
            else:
                levels, parts = _size(lets[name].value, sizes)
                if levels > MAX_LEVELS or parts > MAX_PARTS:
                    found[name] = _too_large(lets[name], levels)
                else:
                    sizes[name] = levels, parts
    return found, sizes


def _circular(let: Let, cycle: list[str]) -> Diagnostic:
    others = [f"`{name}`" for name in cycle[:5] if name != let.name]
    if len(cycle) > 5:
        others = [*others[:3], f"{len(cycle) - 4} more"]
    through = f" through {' and '.join(others)}" if others else ""
    message = f"`{let.name}` is defined by itself{through}"
    return Diagnostic("E306", message, let.name_span, "give it a value")


def _too_large(let: Let, levels: int) -> Diagnostic:
    if levels > MAX_LEVELS:
        message = f"`{let.name}`, with what it mentions, is more than {MAX_LEVELS} levels deep"
    else:
        message = f"`{let.name}`, with what it mentions, has more than {MAX_PARTS} parts"
    return Diagnostic("E003", message, let.name_span)


def _size(part: Syntax, known: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """The depth of a value and the number of its parts, with `let`s expanded."""
    if isinstance(part, CallExpression) and not part.arguments and part.name in known:
        return known[part.name]
    inner = [_size(child, known) for child in children(part)]
    levels = max((level for level, _ in inner), default=-1)
    # An argument is no level of its own, and neither is what has nothing in it.
    return levels + (not isinstance(part, Argument)), 1 + sum(parts for _, parts in inner)


def strong_components(links: Links) -> Iterator[list[str]]:
    """The strongly connected components, each after those it leads to (Kosaraju's algorithm)."""
    reverse: dict[str, list[str]] = {name: [] for name in links}
    for name, others in links.items():
        for other in others:
            reverse[other].append(name)
    seen: set[str] = set()
    for name in reversed(_postorder(reverse, links, set())):
        if name not in seen:
            yield _postorder(links, [name], seen)


def _postorder(links: Links, roots: Iterable[str], seen: set[str]) -> list[str]:
    """The unseen names reachable from the roots, in postorder of a depth-first search."""
    finished = []
    stack = [(root, False) for root in roots]
    while stack:
        name, is_done = stack.pop()
        if is_done:
            finished.append(name)
        elif name not in seen:
            seen.add(name)
            stack.append((name, True))
            stack.extend((other, False) for other in links[name])
    return finished
