"""The Lark parser of the grammar `grammar/ktg.lark`, whose parse table is cached between runs."""

import sys
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from lark import Lark, Token

from ktgdsl.files import cache_root, private_folder, sha256, write_atomic
from ktgdsl.syntax.builder import tree_builder

STARTS = ("file", "member", "setting", "value")
"""The start rules: a whole file, or a part of a file that has mistakes."""

_PACKAGE = Path(__file__).resolve().parents[1]


def grammar_folder() -> Path:
    """Where the grammar is: inside an installed package, beside it in a checkout."""
    inside = _PACKAGE / "grammar"
    return inside if inside.is_dir() else _PACKAGE.parent / "grammar"


comments: ContextVar[list[Token] | None] = ContextVar("comments", default=None)
"""The list that collects the comments of the text being lexed; None where nobody wants them."""


@cache
def lark_parser() -> Lark:
    """The parser, made or loaded at the first use."""
    return build(cache_file())


def build(cache: str | None = None, *, strict: bool = False) -> Lark:
    """A parser, whose parse table is read from or written to the file `cache`.

    Lark makes the table anew where the file is missing, or of another grammar or version, and does
    without where the file cannot be written. It would use most tables that are damaged, so those
    are removed. `strict` refuses terminals that collide.
    """
    if cache is None:
        return _lark(None, strict)
    table, digest = Path(cache), Path(cache).with_suffix(".sha256")
    known = _content(digest)
    with suppress(OSError):
        if known != _digest(table):
            table.unlink(missing_ok=True)
    parser = _lark(cache, strict)
    with suppress(OSError):
        if known != (found := _digest(table)):
            write_atomic(digest, found)
    return parser


def _digest(table: Path) -> bytes:
    return sha256(_content(table)).encode()


def _content(path: Path) -> bytes:
    """The content of a file, nothing where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _lark(cache: str | None, strict: bool) -> Lark:
    return Lark(
        (grammar_folder() / "ktg.lark").read_text(encoding="utf-8"),
        parser="lalr",
        lexer="basic",
        start=list(STARTS),
        transformer=tree_builder,
        lexer_callbacks={"COMMENT": _keep_comment},
        maybe_placeholders=False,
        cache=cache or False,
        strict=strict,
    )


def _keep_comment(token: Token) -> Token:
    if (collected := comments.get()) is not None:
        collected.append(token)
    return token


def cache_file() -> str | None:
    """The file for the parse table, or None where it would not be safe.

    Lark unpickles it, which runs whatever code it holds: the folder must be ours alone.
    """
    with suppress(RuntimeError):  # no home
        folder = private_folder(cache_root() / "parser")
        if folder is not None:
            version = "".join(map(str, sys.version_info[:2]))
            return str(folder / f"ktg-py{version}.pickle")
    return None
