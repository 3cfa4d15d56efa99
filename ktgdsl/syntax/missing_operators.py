"""Syntax errors where values of an edge stand side by side: `0.9 kl`, `correct linear`."""

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.syntax.parse_failure import ParseFailure
from ktgdsl.syntax.tokens import shown
from ktgdsl.vocabulary.registry import kinds_of

_NUMBER = "number"


def beside(failure: ParseFailure) -> Diagnostic | None:
    """`0.9 kl`, `0.9 (kl)`, `kl 0.9`, `correct linear`, `kl mse`, `kl correct`"""
    token, before = failure.token, failure.near(-1)
    if token is None or before is None or not _among_terms(failure):
        return None
    position = failure.position
    one, other = _word(failure, position - 1), _word(failure, position)
    kinds = _kind(failure, one), _kind(failure, other)
    word, next_word = (str(failure.tokens[each]) for each in (one, other))
    match kinds:
        case ("number", _) if kinds[1] != _NUMBER and failure.type in ("NAME", "LPAR"):
            what = "(...)" if failure.type == "LPAR" else next_word
            help_ = f"a factor is followed by `*`: `{_factor(word)} * {what}`"
        case ("loss" | "gate", "number"):
            help_ = f"a factor stands before it, with `*`: `{_factor(next_word)} * {word}`"
        case ("gate", "gate"):
            help_ = f"gates are multiplied by `*`: `{word} * {next_word}`"
        case ("loss", "loss"):
            help_ = f"a comma stands between two losses: `{word}, {next_word}`"
        case ("loss", "gate"):
            help_ = f"a gate stands after `via`: `{word} via {next_word}`"
        case _:
            return None
    return failure.error(f"{shown(token)} cannot follow {shown(before)}", help_)


def _among_terms(failure: ParseFailure) -> bool:
    """Whether it stands behind the colon or the `via` of an edge, or is the value of a `let`."""
    starts = {"EDGE": {"COLON", "VIA"}, "LET": {"EQUALS"}}.get(failure.kind, set())
    return any(token.type in starts for token in failure.tokens[: failure.position])


def _word(failure: ParseFailure, position: int) -> int:
    """Where the word of a call stands that ends at a position; any other value stands there."""
    depth = 0
    for start in range(position, 0, -1):
        kind = failure.kind_at(start)
        depth += (kind == "RPAR") - (kind == "LPAR")
        if depth == 0:
            return start - 1 if start < position else start
    return position


def _kind(failure: ParseFailure, position: int) -> str | None:
    """The kind of value that a token is in a term, or None."""
    token = failure.tokens[position]
    if token.type in ("NUMBER", "PERCENT"):
        return _NUMBER
    kinds = kinds_of(token.value) if token.type == "NAME" else []
    return next((kind for kind in ("loss", "gate") if kind in kinds), None)


def _factor(number: str) -> str:
    """A number as a factor is written, which is no percentage."""
    return f"{float(number[:-1]) / 100:g}" if number.endswith("%") else number
