"""Text to tree: `parse` for a file, `parse_value` for a value on the command line."""

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax import machine
from ktgdsl.syntax import statements as outline
from ktgdsl.syntax.build import actions
from ktgdsl.syntax.read import MAX_BYTES
from ktgdsl.syntax.tokens import MAX_ERRORS, Words, tokenize
from ktgdsl.syntax.tree import File, Statement, Value


def parse(source: Source, words: Words | None = None) -> tuple[File | None, tuple[Diagnostic, ...]]:
    """The tree of a file and every syntax error in it; never raises for any text.

    With errors, the tree holds the statements that are sound, and there is none when
    nothing is. At most `MAX_ERRORS` errors are looked for. `words` is what `tokenize` makes
    of the source, where that is known.
    """
    if len(source.text) > MAX_BYTES:
        message = "the text is larger than 1 MiB, the most that a spec may have"
        return None, (Diagnostic("E003", message, path=source.path),)
    tokens, errors = words or tokenize(source)
    if not errors and outline.too_deep(tokens) is None:
        statements = machine.run("file", tokens, actions(source.path))
        if statements is not None:
            return _file(source, statements), ()
    if len(errors) >= MAX_ERRORS:
        return None, _capped(source, errors)
    from ktgdsl.syntax.recovery import Recovery  # only a mistake needs it

    recovery = Recovery(source, tokens, errors)
    recovery.run()
    tree_of_rest = _file(source, tuple(recovery.statements)) if recovery.statements else None
    return tree_of_rest, _capped(source, recovery.errors)


def parse_value(source: Source) -> tuple[Value | None, tuple[Diagnostic, ...]]:
    """A value alone, as `--set` takes it, and what is wrong with it."""
    tokens, errors = tokenize(source)
    if errors:
        return None, tuple(errors)
    if not tokens:
        return None, (Diagnostic("E103", "a value is missing", path=source.path),)
    deep = outline.too_deep(tokens)
    if deep is not None:
        from ktgdsl.syntax.recovery import nested

        return None, (nested(source, tokens[deep]),)
    value: Value | None = machine.run("value", tokens, actions(source.path))
    if value is None:
        from ktgdsl.syntax.mistakes import explain
        from ktgdsl.syntax.stop import VALUE, Stop

        return None, (explain(Stop(source.path, tokens, *machine.stop("value", tokens), VALUE)),)
    return value, ()


def _file(source: Source, statements: tuple[Statement, ...]) -> File:
    return File(span=Span(source.path, 0, len(source.text)), statements=statements)


def _capped(source: Source, errors: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    if len(errors) < MAX_ERRORS:
        return tuple(errors)
    message = f"there are more than {MAX_ERRORS} mistakes; the rest is not looked at"
    return (*errors[:MAX_ERRORS], Diagnostic("E003", message, path=source.path))
