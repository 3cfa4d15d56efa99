"""Includes: the blocks of the files that a spec uses, merged as defaults into its own."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.diagnostics.source import Source
from ktgdsl.files import expand_home
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.project import project_root
from ktgdsl.syntax.read import nearby, read
from ktgdsl.syntax.tree import Block, File, Graph, Let, Statement, Use

MOST_FILES = 64
"""How many files a spec may use, those that they use counted in."""

_FIX = "paths are relative to the file that says `use`, and stay inside of its project"

OF_A_DATA_SET = frozenset({"root", "classes"})
"""Settings that say something about one data set, and nothing about another."""


class Used:
    """What using files gave: texts, trees, folders and complaints.

    Texts and folders are by the path that diagnostics have. A tree is that of the file
    alone, and has with it whether some of the file did not parse. `missing` says that a file
    could not be read at all. A folder is where the paths of the file begin; `named` has all that
    a `use` names.
    """

    def __init__(self, path: str, folder: Path) -> None:
        self.sources: dict[str, Source] = {}
        self.trees: list[tuple[Source, File, bool]] = []
        self.folders = {path: folder}
        self.named: list[Path] = []
        self.diagnostics: list[Diagnostic] = []
        self.missing = False


class _Place(NamedTuple):
    """A file on its way: what people call it, its folder, itself and those that led to it."""

    path: str
    folder: Path
    line: tuple[Path, ...]


def flatten(file: File, path: str, folder: Path, root: Path | None = None) -> tuple[File, Used]:
    """The file without `use`, on top of the files that it uses.

    A later `use` wins over an earlier one and the file's own settings over all, setting by
    setting; a value is replaced as a whole. Own phases replace all inherited ones, and naming
    another data set drops what was said of the first. Paths are relative to the file that
    says them and stay inside of `root`, by default the project that `folder` is part of. After
    `use "FOLDER/"` the other paths of its file, those of no `use`, begin at that folder, which
    lies inside of `root` if there is one, else anywhere.
    """
    used = Used(path, folder)
    own = Path(folder, Path(path).name).resolve()
    line = _Place(path, folder, (own,))
    return _flatten_file(file, line, _Roots(folder, root), used), used


class _Roots:
    """Where files may lie: those that are used in the project, and folders where `--root` says."""

    def __init__(self, folder: Path, stated: Path | None) -> None:
        self.stated = stated and stated.resolve()
        self.of_files = self.stated or project_root(folder)


def _flatten_file(file: File, place: _Place, roots: _Roots, used: Used) -> File:
    below: list[Statement] = []
    own: list[Statement] = []
    for statement in file.statements:
        if not isinstance(statement, Use):
            own.append(statement)
            continue
        if statement.file.value.endswith("/"):
            base = _base(statement, place, roots.stated)
            if isinstance(base, Diagnostic):
                used.diagnostics.append(base)
            else:
                used.folders[place.path] = base
                used.named.append(base)
            continue
        other = _other(statement, place, roots, used)
        if isinstance(other, Diagnostic):
            used.diagnostics.append(other)
            used.missing = True
        else:
            below = merged(below, other.statements)
    return replace(file, statements=tuple(merged(below, own)))


def _base(use: Use, place: _Place, root: Path | None) -> Path | Diagnostic:
    """The folder that is used."""
    written = use.file.value
    try:
        base = (place.folder / expand_home(written)).resolve()
        exists = base.is_dir()
    except (OSError, ValueError):  # ValueError: a path with a NUL character
        exists = False
    if not exists:
        fix = "a folder, written with a slash at its end, is where the paths of this file begin"
        return _problem(use, "E001", f'there is no folder "{written}"', fix)
    if root is not None and not base.is_relative_to(root):
        return _problem(use, "E107", f'"{written}" lies outside of the folder tree of the spec')
    return base


def _other(use: Use, place: _Place, roots: _Roots, used: Used) -> File | Diagnostic:
    """The file that is used, itself flat."""
    written = use.file.value
    try:
        target = (place.folder / expand_home(written)).resolve()
    except (OSError, ValueError):  # ValueError: a path with a NUL character
        return _problem(use, "E001", f'"{written}" is not the path of a file')
    if not target.is_relative_to(roots.of_files):
        return _problem(use, "E107", f'"{written}" lies outside of the folder tree of the spec')
    if target in place.line:
        return _problem(use, "E107", f'"{written}" is used by itself')
    if len(used.trees) >= MOST_FILES:
        return _problem(use, "E003", f"a spec uses {MOST_FILES} files at most")
    source, problems = read(target)
    if source is None:
        shown = problems[0].message.replace(str(target), written)
        message = f'"{written}" cannot be used: {shown}'
        guess = None if target.exists() else nearby(target)
        fix = f'did you mean "{Path(written).with_name(guess).as_posix()}"?' if guess else _FIX
        return _problem(use, problems[0].code, message, fix)
    shown = os.path.normpath(Path(place.path).parent / written)
    inner = _Place(shown, target.parent, (*place.line, target))
    return _parsed(use, Source(shown, source.text), inner, roots, used)


def _parsed(
    use: Use, source: Source, place: _Place, roots: _Roots, used: Used
) -> File | Diagnostic:
    file, found = parse(source)
    reported = source.path in used.sources
    used.sources[source.path] = source
    used.folders[source.path] = place.folder
    label = Label(use.file.span, "used here")
    labelled = [replace(each, labels=(*each.labels, label)) for each in found]
    if file is None:
        return labelled[0]
    used.diagnostics += [] if reported else labelled
    used.trees.append((source, file, bool(found)))
    return _flatten_file(file, place, roots, used)


def _problem(use: Use, code: str, message: str, fix: str = _FIX) -> Diagnostic:
    return Diagnostic(code, message, use.file.span, fix)


def merged(below: Sequence[Statement], above: Iterable[Statement]) -> list[Statement]:
    """The statements of two files as those of one, in which what is `above` wins."""
    above = list(above)
    own = {_key(statement) for statement in above}
    phases = any(kind == "phase" for kind, _ in own)
    inherited: dict[tuple[str, str], Statement] = {}
    for statement in below:
        inherited.setdefault(_key(statement), statement)
    kept = [
        statement
        for statement in below
        if _key(statement) not in own and not (phases and _key(statement)[0] == "phase")
    ]
    return [*kept, *(_on_top(inherited.get(_key(statement)), statement) for statement in above)]


def _key(statement: Statement) -> tuple[str, str]:
    """What of two statements in different files says that they are about the same."""
    match statement:
        case Let():
            return "let", statement.name
        case Block():
            return statement.kind, statement.name or ""
        case Graph():
            return "graph", ""
        case Use():
            return "use", statement.file.value


def _on_top(below: Statement | None, above: Statement) -> Statement:
    if not isinstance(below, Block) or not isinstance(above, Block) or above.kind == "phase":
        return above
    own_names = {setting.name for setting in above.settings}
    if above.subject is not None and above.subject != below.subject:
        own_names |= OF_A_DATA_SET
    inherited = (setting for setting in below.settings if setting.name not in own_names)
    return replace(above, settings=(*inherited, *above.settings))
