"""Text to tree: `parse` for a file, `parse_value` for a value on the command line."""

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax.boundaries import MAX_LEVELS, too_deep
from ktgdsl.syntax.lexer import MAX_ERRORS, Lexed, tokenize
from ktgdsl.syntax.parse_failure import VALUE, ParseFailure
from ktgdsl.syntax.parser import locate_failure, parse_tokens
from ktgdsl.syntax.part_parser import nested
from ktgdsl.syntax.read import MAX_BYTES
from ktgdsl.syntax.recovery import Recovery
from ktgdsl.syntax.syntax_errors import explain
from ktgdsl.syntax.tree import File, Statement, Value

Parsed = tuple[File | None, tuple[Diagnostic, ...]]
"""The tree of a file, if anything in it is sound, and its syntax errors."""


def parse(source: Source, lexed: Lexed | None = None) -> Parsed:
    """The tree of a file and every syntax error in it; never raises for any text.

    With errors, the tree holds the statements that are sound, and there is none when
    nothing is. At most `MAX_ERRORS` errors are looked for. `lexed` is what `tokenize` makes
    of the source, where that is known.
    """
    if len(source.text) > MAX_BYTES:
        message = "the text is larger than 1 MiB, the most that a spec may have"
        return None, (Diagnostic("E003", message, path=source.path),)
    tokens, _, errors = lexed or tokenize(source)
    if not errors and too_deep(tokens) is None:
        statements = parse_tokens("file", tokens, source.path)
        if statements is not None:
            return _file(source, statements), ()
    if len(errors) >= MAX_ERRORS:
        return None, _capped(source, errors)
    recovery = Recovery(source, tokens, errors)
    recovery.run()
    tree_of_rest = _file(source, tuple(recovery.statements)) if recovery.statements else None
    return tree_of_rest, _capped(source, recovery.errors)


def parse_value(
    source: Source, lexed: Lexed | None = None
) -> tuple[Value | None, tuple[Diagnostic, ...]]:
    """A value alone, as `--set` takes it, and what is wrong with it; `lexed` is as of `parse`."""
    tokens, _, errors = lexed or tokenize(source)
    if errors:
        return None, tuple(errors)
    if not tokens:
        return None, (Diagnostic("E103", "a value is missing", path=source.path),)
    deep = too_deep(tokens)
    if deep is not None:
        return None, (nested(source, tokens[deep]),)
    value: Value | None = parse_tokens("value", tokens, source.path)
    if value is None:
        index, accepts = locate_failure("value", tokens, source.path)
        return None, (explain(ParseFailure(source.path, tokens, index, accepts, VALUE)),)
    return value, ()


def is_too_deep(text: str) -> bool:
    """Whether a value of this text is refused because of its nesting."""
    return len(text) > MAX_LEVELS and too_deep(tokenize(Source("", text)).tokens) is not None


def _file(source: Source, statements: tuple[Statement, ...]) -> File:
    return File(span=Span(source.path, 0, len(source.text)), statements=statements)


def _capped(source: Source, errors: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    if len(errors) < MAX_ERRORS:
        return tuple(errors)
    message = f"there are more than {MAX_ERRORS} mistakes; the rest is not looked at"
    return (*errors[:MAX_ERRORS], Diagnostic("E003", message, path=source.path))
