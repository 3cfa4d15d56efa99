"""Tokens of Lark: their places."""

from lark import Token

from ktgdsl.diagnostics.source import Span


def start_offset(token: Token) -> int:
    """The offset of a token's first character."""
    assert token.start_pos is not None
    return token.start_pos


def end_offset(token: Token) -> int:
    """The offset after a token's last character."""
    assert token.end_pos is not None
    return token.end_pos


def span(path: str, first: Token, last: Token) -> Span:
    """The place of the tokens from `first` to `last`."""
    return Span(path, start_offset(first), end_offset(last))


def starts_line(tokens: list[Token], i: int) -> bool:
    """Whether token i is the first of its line; no token goes over several."""
    return i == 0 or tokens[i - 1].line != tokens[i].line


def shown(token: Token) -> str:
    """A token as a message quotes it."""
    text = token.value if len(token.value) <= 30 else f"{token.value[:27]}..."
    return f"`{text}`"
