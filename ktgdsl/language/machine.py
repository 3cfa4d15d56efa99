"""Lark's automaton fed by hand: a list of tokens to a tree, or to the token that stops it."""

from typing import Any

from lark import Tree
from lark.exceptions import UnexpectedToken

from ktgdsl.language import grammar
from ktgdsl.language.tokens import Token


def run(start: str, tokens: list[Token]) -> Tree[Token] | int:
    """The tree of the tokens under a start symbol, or the index of the first that does not fit.

    The index is the number of tokens when they end too early.
    """
    automaton: Any = grammar.parser().parse_interactive(start=start)
    feed = automaton.feed_token
    i = 0
    try:
        for i, token in enumerate(tokens):  # noqa: B007 (read in the handler)
            feed(token)
        i = len(tokens)
        tree: Tree[Token] = automaton.feed_eof()
    except UnexpectedToken:
        return i
    return tree


def accepted(start: str, tokens: list[Token]) -> frozenset[str]:
    """The kinds of token that may follow tokens that fit."""
    automaton: Any = grammar.parser().parse_interactive(start=start)
    for token in tokens:
        automaton.feed_token(token)
    return frozenset(automaton.accepts())
