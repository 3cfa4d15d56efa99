"""Text to tree: `parse` for a file, `parse_value` for a value on the command line."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from ktgdsl.language import machine, outline
from ktgdsl.language.diagnostic import Diagnostic
from ktgdsl.language.explain import explain
from ktgdsl.language.make import make
from ktgdsl.language.read import MAX_BYTES
from ktgdsl.language.recover import Recovery, nested
from ktgdsl.language.source import Source, Span
from ktgdsl.language.stop import VALUE, Stop
from ktgdsl.language.syntax import File, Value
from ktgdsl.language.tokens import MAX_ERRORS, tokenize
from ktgdsl.language.transform import Builder


def parse(source: Source) -> tuple[File | None, tuple[Diagnostic, ...]]:
    """The tree of a file and every syntax error in it; never raises for any text.

    With errors, the tree holds the statements that are sound, and there is none when
    nothing is. At most `MAX_ERRORS` errors are looked for.
    """
    if len(source.text) > MAX_BYTES:
        message = "the text is larger than 1 MiB, the most that a spec may have"
        return None, (Diagnostic("E003", message, path=source.path),)
    with _uncollected():
        return _parse(source)


@contextmanager
def _uncollected() -> Iterator[None]:
    # All that a parse builds is kept; to look for garbage in it takes most of the time.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _parse(source: Source) -> tuple[File | None, tuple[Diagnostic, ...]]:
    tokens, errors = tokenize(source)
    if not errors and outline.too_deep(tokens) is None:
        tree = machine.run("file", tokens)
        if not isinstance(tree, int):
            return _file(source, Builder(source.path).build(tree)), ()
    if len(errors) >= MAX_ERRORS:
        return None, _capped(source, errors)
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
        return None, (nested(source, tokens[deep]),)
    tree = machine.run("value", tokens)
    if isinstance(tree, int):
        accepts = machine.accepted("value", tokens[:tree])
        return None, (explain(Stop(source.path, tokens, tree, accepts, VALUE)),)
    value: Value = Builder(source.path).build(tree)
    return value, ()


def _file(source: Source, statements: tuple[object, ...]) -> File:
    return make(File, Span(source.path, 0, len(source.text)), statements=statements)


def _capped(source: Source, errors: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    if len(errors) < MAX_ERRORS:
        return tuple(errors)
    message = f"there are more than {MAX_ERRORS} mistakes; the rest is not looked at"
    return (*errors[:MAX_ERRORS], Diagnostic("E003", message, path=source.path))
