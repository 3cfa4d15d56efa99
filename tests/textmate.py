"""What an editor does with a TextMate grammar: the scopes of every character of a text."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

Rule = dict[str, Any]


class Open(NamedTuple):
    """A rule in which the text stands: its scope, what it may hold and what ends it."""

    scope: str
    inner: list[Rule]
    end: str | None = None
    captures: Rule | None = None


def paint(grammar: Rule, text: str) -> list[str]:
    """The scopes of every character of the text, outer first, with blanks between them."""
    stack = [Open("", grammar["patterns"])]
    lines = [_paint_line(grammar, stack, line) for line in text.split("\n")]
    return [scopes for line in lines for scopes in line][:-1]


def rules(grammar: Rule) -> Iterator[Rule]:
    """Every rule, whether at the top, in the repository or in another rule."""
    for rule in [*grammar.get("patterns", ()), *grammar.get("repository", {}).values()]:
        yield rule
        yield from rules(rule)


def patterns(grammar: Rule) -> list[str]:
    """Every regular expression."""
    keys = ("match", "begin", "end")
    return [rule[key] for rule in rules(grammar) for key in keys if key in rule]


def _paint_line(grammar: Rule, stack: list[Open], line: str) -> list[str]:
    """The scopes of a line and its end; the stack is left as the next line finds it."""
    painted: list[str] = []
    while True:
        here = stack[-1]
        match, rule = _next(grammar, here, line, len(painted))
        if match is None:
            return painted + [here.scope] * (len(line) + 1 - len(painted))
        painted += [here.scope] * (match.start() - len(painted))
        if rule is None:
            painted += _capture(match, here.scope, here.captures)
            stack.pop()
            continue
        scope = f"{here.scope} {rule.get('name', '')}".strip()
        if "begin" in rule:
            painted += _capture(match, scope, rule.get("beginCaptures"))
            stack.append(Open(scope, rule["patterns"], rule["end"], rule.get("endCaptures")))
        else:
            painted += _capture(match, scope, rule.get("captures"))


def _next(
    grammar: Rule, here: Open, line: str, start: int
) -> tuple[re.Match[str] | None, Rule | None]:
    """The leftmost match and its rule, None for the end; of equals the end, then the first."""
    options: list[tuple[str, Rule | None]] = [(here.end, None)] if here.end else []
    options += [(rule.get("begin") or rule["match"], rule) for rule in _flat(grammar, here.inner)]
    best: tuple[re.Match[str] | None, Rule | None] = None, None
    for pattern, rule in options:
        match = re.compile(pattern).search(line, start)
        if match and (best[0] is None or match.start() < best[0].start()):
            best = match, rule
    return best


def _flat(grammar: Rule, listed: list[Rule]) -> Iterator[Rule]:
    for rule in listed:
        if "include" in rule:
            yield from _flat(grammar, [grammar["repository"][rule["include"].removeprefix("#")]])
        elif "match" in rule or "begin" in rule:
            yield rule
        else:
            yield from _flat(grammar, rule["patterns"])


def _capture(match: re.Match[str], scope: str, captures: Rule | None) -> list[str]:
    """The scopes of what was matched, those of captures inside the rule's own."""
    painted = [scope] * len(match[0])
    for group, rule in (captures or {}).items():
        for i in range(*match.span(int(group))):
            painted[i - match.start()] = f"{scope} {rule['name']}".strip()
    return painted
