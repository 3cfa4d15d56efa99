"""The grammar's automaton, run over a list of tokens: what they make, or where it stops.

Lark makes the automaton. Its own driver makes a tree of every rule that applies, and most of
them only say how tightly an operator binds: a number alone is an atom, a factor, a product, a
sum, a range and a choice. Here such a chain is one step, and no tree stands between the
tokens and ours.
"""

from collections.abc import Callable, Mapping
from functools import cache
from itertools import takewhile
from typing import Any, NamedTuple

from ktgdsl.syntax import grammar
from ktgdsl.syntax.tokens import Token

Actions = Mapping[str, Callable[[list[Any]], Any]]
"""What to make of the parts of a rule, by the rule's name or alias.

A rule with `?` that has one part stands for that part; if it is a token, the action is named
like its kind, in lower case.
"""

_END = Token("$END", "", 0, 0, False)


class _Rule(NamedTuple):
    """A rule to apply to the last `size` parts, which makes a symbol of them.

    Without an `action` it makes a list of them, which belongs to the rule above; `lists` are
    the parts that are such lists.
    """

    size: int
    symbol: str
    action: str
    lists: tuple[int, ...]


class _Word(NamedTuple):
    """A token that is a symbol by itself: what to make of it, and the state after it."""

    action: str
    state: int


_Step = int | _Word | str | _Rule
"""What a token to come leads to: the state after it, also by way of a symbol; or, first, the
symbol that the last part becomes, where it stands for that, or the rule to apply."""


class _Automaton(NamedTuple):
    """For each state the step with each kind of token to come, and the state after a symbol.

    `first` and `last` are the states before and after what a start symbol stands for.
    """

    steps: dict[int, dict[str, _Step]]
    after: dict[int, dict[str, int]]
    first: dict[str, int]
    last: dict[str, int]


@cache
def _automaton() -> _Automaton:
    """Lark's tables, its rules looked through once."""
    tables = grammar.tables()
    rules = [_applied(rule) for rule in tables.rules]
    steps: dict[int, dict[str, _Step]] = {}
    after: dict[int, dict[str, int]] = {}
    for state, row in enumerate(tables.states):
        after[state] = {symbol: to for symbol, to in row.items() if not symbol.isupper()}
        steps[state] = {
            kind: to if to >= 0 else rules[-1 - to] for kind, to in row.items() if kind.isupper()
        }
    for state, line in steps.items():
        for kind, step in line.items():
            line[kind] = _at_once(step, steps, after[state])
    return _Automaton(steps, after, tables.first, tables.last)


def _applied(rule: grammar.Rule) -> _Step:
    """What to do for a rule."""
    symbol, alias, expand, parts = rule
    lists = tuple(i for i, part in enumerate(parts) if part.startswith("_"))
    action = "" if symbol.startswith("_") else alias or symbol
    if expand and len(parts) == 1:
        if not parts[0].isupper():
            return symbol
        action = parts[0].lower()
    return _Rule(len(parts), symbol, action, lists)


def _at_once(step: _Step, steps: dict[int, dict[str, _Step]], after: dict[str, int]) -> _Step:
    """The step and the one that comes next whatever follows, if they are about one token."""
    following = set(steps[step].values()) if isinstance(step, int) else set()
    rule = following.pop() if len(following) == 1 else None
    if isinstance(rule, _Rule) and rule.size == 1 and rule.action:
        return _Word(rule.action, after[rule.symbol])
    return step


def run(start: str, tokens: list[Token], actions: Actions) -> Any:
    """What the actions make of all tokens, or None if they are not what `start` stands for."""
    steps, after, first, last = _automaton()
    stack = [first[start]]
    values: list[Any] = []
    for token in (*tokens, _END):
        kind = token.type
        while not isinstance(step := steps[stack[-1]].get(kind), int):
            if isinstance(step, _Rule):
                size, symbol, action, lists = step
                below = len(values) - size
                parts = values[below:]
                if lists:
                    parts = _joined(parts, lists)
                del values[below:], stack[below + 1 :]
                values.append(actions[action](parts) if action else parts)
                stack.append(after[stack[-1]][symbol])
            elif isinstance(step, str):
                stack[-1] = _renamed(stack[-2], stack[-1], kind)
            elif isinstance(step, _Word):
                stack.append(step.state)
                values.append(actions[step.action]([token]))
                break
            else:
                ended = token is _END and stack[-1] == last[start]
                return values[0] if ended else None
        else:
            stack.append(step)
            values.append(token)
    raise AssertionError("nothing follows the end")


def stop(start: str, tokens: list[Token]) -> tuple[int, frozenset[str]]:
    """The index of the first token that does not fit, and the kinds of those that would.

    The index is the number of tokens where they end too early. They must not be what `start`
    stands for.
    """
    steps, _, first, last = _automaton()
    stack = [first[start]]
    fitting = sum(1 for _ in takewhile(lambda token: _fits(stack, token.type), tokens))
    # The token that did not fit may have made rules apply before it was found out.
    stack = [first[start]]
    for token in tokens[:fitting]:
        _fits(stack, token.type)
    return fitting, frozenset(
        kind for kind in steps[stack[-1]] if _fits(list(stack), kind, last[start])
    )


def _fits(stack: list[int], kind: str, last: int = -1) -> bool:
    """Whether a token of a kind may follow; the stack is then that after it.

    The end may follow where the rules that apply before it lead to the state `last`.
    """
    steps, after, _, _ = _automaton()
    while not isinstance(step := steps[stack[-1]].get(kind), int):
        if step is None:
            return kind == _END.type and stack[-1] == last
        if isinstance(step, _Word):
            stack.append(step.state)
            return True
        size, symbol = (1, step) if isinstance(step, str) else step[:2]
        del stack[len(stack) - size :]
        stack.append(after[stack[-1]][symbol])
    stack.append(step)
    return True


@cache
def _renamed(below: int, state: int, kind: str) -> int:
    """The state after all rules in a row that only give the last part another name.

    `state` is the one on top, `below` the one under it, and `kind` that of the token to come.
    """
    steps, after, _, _ = _automaton()
    while isinstance(symbol := steps[state].get(kind), str):
        state = after[below][symbol]
    return state


def _joined(parts: list[Any], lists: tuple[int, ...]) -> list[Any]:
    """The parts with those that are lists taken apart; one in front grows in place."""
    joined: list[Any] = parts[0] if lists[0] == 0 else parts[:1]
    for i, part in enumerate(parts[1:], 1):
        if i in lists:
            joined += part
        else:
            joined.append(part)
    return joined
