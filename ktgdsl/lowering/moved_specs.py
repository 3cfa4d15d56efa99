"""Moves specs to another folder: rewrites them so that their relative paths still resolve."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.files import expand_home
from ktgdsl.lowering.spec_paths import SpecPaths
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.project import project_root
from ktgdsl.syntax.tree import (
    Block,
    CallExpression,
    Choice,
    File,
    Graph,
    Let,
    Node,
    Setting,
    Statement,
    String,
    Syntax,
    Value,
)
from ktgdsl.syntax.unparse import unparse_literal
from ktgdsl.syntax.walk import walk

_PATHS = ("root", "weights")
"""The settings that are paths."""

_OWN = ("folder", "python")
"""The words whose files are the user's own: images below a folder, modules beside the spec."""


HANDED_ON = "where its modules and files are: for another place, change this line"
"""The comment on the line `use` of a moved spec."""


def moved_text(text: str, base: Path, folder: Path) -> str:
    """The text of a spec whose paths are relative to `base`, rewritten for a file in `folder`.

    A spec that names files of the user's gets a line `use "BASE/"` at its top; any other text is
    unchanged, and so is one that does not parse.
    """
    file, _ = parse(Source("<spec>", text))
    if file is None or base.resolve() == folder.resolve() or not names_own_files(file):
        return text
    named = [base / expand_home(each.value) for each in walk(file) if isinstance(each, String)]
    files = [each for each in named if _is_file(each)]
    uses = "\n".join(use_folders(base, folder, files))
    return f"{uses}\n\n{text.lstrip()}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as for a name that is too long
        return False


def use_folders(base: Path, folder: Path, files: Iterable[Path]) -> list[str]:
    """The `use` statements by which the paths of a file in `folder` are relative to `base`.

    `files` are the files that those paths lead to; folders of files outside of the project are
    named too. Within one project folders are relative, so that the project can be moved.
    """
    base, folder = base.resolve(), folder.resolve()
    project = project_root(base)
    parents = {file.resolve().parent for file in files}
    outside = sorted(each for each in parents if not each.is_relative_to(project))
    lines = [_use(str(each)) for each in outside]
    begin = os.path.relpath(base, folder) if folder.is_relative_to(project) else str(base)
    return [*lines, f"{_use(begin)}  # {HANDED_ON}"]


def _use(folder: str) -> str:
    return f"use {_quoted(Path(folder).as_posix().rstrip('/') + '/')}"


def names_own_files(file: File) -> bool:
    """Whether a spec names files or modules that are found relative to its folder."""
    return any(map(_is_looked_for, walk(file)))


def _is_looked_for(part: Syntax) -> bool:
    match part:
        case CallExpression(name="python"):
            return True
        case Setting(name="root" | "weights", value=CallExpression(name="own")):
            return False
        case Setting(name="root" | "weights") | CallExpression(name="folder"):
            paths = [each.value for each in walk(part) if isinstance(each, String)]
            return not paths or any(not Path(path).is_absolute() for path in paths)
    return False


def in_one_file(file: File, paths: SpecPaths) -> File:
    """A flattened file whose paths are all relative to its own folder, included ones as well.

    For data of the user's in an included file, that file's folder becomes `root`.
    """
    if all(folder.resolve() == paths.folder.resolve() for folder in paths.used.values()):
        return file
    rebasing = _Rebasing(file, paths)
    statements = [rebasing.statement(each) for each in file.statements]
    return replace(file, statements=tuple(map(rebasing.let, statements)))


class _Rebasing:
    """Rewrites the paths in statements, and in `let`s that are used as paths."""

    def __init__(self, file: File, paths: SpecPaths) -> None:
        self._paths = paths
        self._lets = {each.name: each for each in file.statements if isinstance(each, Let)}
        self._bases: dict[str, Path] = {}

    def statement(self, statement: Statement) -> Statement:
        match statement:
            case Block(kind="data"):
                return replace(statement, settings=tuple(self._of_data(statement)))
            case Graph():
                inner = [
                    replace(each, settings=tuple(self._setting(s) for s in each.settings))
                    if isinstance(each, Node)
                    else each
                    for each in statement.statements
                ]
                return replace(statement, statements=tuple(inner))
        return statement

    def let(self, statement: Statement) -> Statement:
        if isinstance(statement, Let) and statement.name in self._bases:
            base = self._bases[statement.name]
            return replace(statement, value=self._value(statement.value, base))
        return statement

    def _of_data(self, block: Block) -> Iterator[Setting]:
        yield from (self._setting(each) for each in block.settings)
        subject = block.subject
        if subject is None or any(each.name == "root" for each in block.settings):
            return
        base, words = self._paths.base(subject.span), list(walk(subject))
        own = any(isinstance(each, CallExpression) and each.name in _OWN for each in words)
        if own and base.resolve() != self._paths.folder.resolve():
            span = subject.span
            path = self._from(base, ".")
            yield Setting(span=span, name="root", name_span=span, value=_string(path, span))

    def _setting(self, setting: Setting) -> Setting:
        if setting.name not in _PATHS:
            return setting
        base = self._paths.base(setting.value.span)
        return replace(setting, value=self._value(setting.value, base))

    def _value(self, value: Value, base: Path) -> Value:
        match value:
            case String():
                return replace(value, value=self._from(base, value.value))
            case Choice():
                options = tuple(self._value(each, base) for each in value.options)
                return replace(value, options=options)
            case CallExpression(name=name) if name in self._lets and name not in self._bases:
                self._bases[name] = base
                self._value(self._lets[name].value, base)  # for the names in it
        return value

    def _from(self, base: Path, path: str) -> str:
        """A path below `base` as seen from the spec's folder."""
        folder = self._paths.folder.resolve()
        if base.resolve() == folder or Path(path).is_absolute() or path.startswith("~"):
            return path
        return Path(os.path.relpath(base.resolve() / path, folder)).as_posix()


def _string(text: str, span: Span) -> String:
    return String(span=span, value=text)


def _quoted(text: str) -> str:
    return unparse_literal(_string(text, Span("<spec>", 0, 0)))
