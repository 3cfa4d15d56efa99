"""Lark's LALR parser, run over tokens: the nodes that they make, or where it stops."""

from collections.abc import Sequence
from typing import Any

from lark import Token, UnexpectedToken

from ktgdsl.syntax.builder import source_path
from ktgdsl.syntax.grammar import lark_parser


def parse_tokens(start: str, tokens: Sequence[Token], path: str) -> Any:
    """The nodes that tokens of the source `path` parse to; None if `start` does not match them."""
    before = source_path.set(path)
    try:
        parser: Any = lark_parser().parse_interactive(start=start)
        for token in tokens:
            parser.feed_token(token)
        return parser.feed_eof()
    except UnexpectedToken:
        return None
    finally:
        source_path.reset(before)


def locate_failure(start: str, tokens: Sequence[Token], path: str) -> tuple[int, frozenset[str]]:
    """The index of the first token that does not fit, and the kinds of those that would.

    The index is the number of tokens where they end too early. They must not be what `start`
    stands for.
    """
    before = source_path.set(path)
    try:
        index = _fed(start, tokens)[1]
        # The token that does not fit may make rules apply before that is found out.
        parser, _ = _fed(start, tokens[:index])
        return index, frozenset(parser.accepts())
    finally:
        source_path.reset(before)


def _fed(start: str, tokens: Sequence[Token]) -> tuple[Any, int]:
    """A parser fed with tokens up to the first that does not fit, and how many it took."""
    parser: Any = lark_parser().parse_interactive(start=start)
    for index, token in enumerate(tokens):
        try:
            parser.feed_token(token)
        except UnexpectedToken:
            return parser, index
    return parser, len(tokens)
