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

MAX_FILES = 64
"""How many files a spec may use, those that they use counted in."""

_FIX = "paths are relative to the file that says `use`, and stay inside of its project"

DATASET_SETTINGS = frozenset({"root", "classes"})
"""Settings of `data` that belong to one data set: another data set does not inherit them."""


class Includes:
    """The files that a spec includes with `use`, and diagnostics about them.

    `sources` has their texts, and `folders` where their relative paths begin, by the path that
    diagnostics show. `trees` has each with its own tree, and whether it has syntax errors.
    `named` are the folders that a `use "FOLDER/"` names. `missing` says that a file could not be
    read.
    """

    def __init__(self, path: str, folder: Path) -> None:
        self.sources: dict[str, Source] = {}
        self.trees: list[tuple[Source, File, bool]] = []
        self.folders = {path: folder}
        self.named: list[Path] = []
        self.diagnostics: list[Diagnostic] = []
        self.missing = False


class _CurrentFile(NamedTuple):
    """The file that is being flattened: its path in diagnostics, its folder, and the chain of
    files from the spec to it, by which circular `use` is found."""

    path: str
    folder: Path
    chain: tuple[Path, ...]


def flatten(file: File, path: str, folder: Path, root: Path | None = None) -> tuple[File, Includes]:
    """The file without `use`, on top of the files that it uses.

    A later `use` wins over an earlier one and the file's own settings over all, setting by
    setting; a value is replaced as a whole. Own phases replace all inherited ones, and naming
    another data set drops what was said of the first. Paths are relative to the file that
    says them and stay inside of `root`, by default the project that `folder` is part of. After
    `use "FOLDER/"` the other paths of its file, those of no `use`, begin at that folder, which
    lies inside of `root` if there is one, else anywhere.
    """
    includes = Includes(path, folder)
    own = Path(folder, Path(path).name).resolve()
    current = _CurrentFile(path, folder, (own,))
    return _flatten_file(file, current, _Roots(folder, root), includes), includes


class _Roots:
    """Where files may lie: those that are used in the project, and folders where `--root` says."""

    def __init__(self, folder: Path, stated: Path | None) -> None:
        self.stated = stated and stated.resolve()
        self.of_files = self.stated or project_root(folder)


def _flatten_file(file: File, current: _CurrentFile, roots: _Roots, includes: Includes) -> File:
    below: list[Statement] = []
    own: list[Statement] = []
    for statement in file.statements:
        if not isinstance(statement, Use):
            own.append(statement)
            continue
        if statement.file.value.endswith("/"):
            base = _base_folder(statement, current, roots.stated)
            if isinstance(base, Diagnostic):
                includes.diagnostics.append(base)
            else:
                includes.folders[current.path] = base
                includes.named.append(base)
            continue
        other = _included(statement, current, roots, includes)
        if isinstance(other, Diagnostic):
            includes.diagnostics.append(other)
            includes.missing = True
        else:
            below = merged(below, other.statements)
    return replace(file, statements=tuple(merged(below, own)))


def _base_folder(use: Use, current: _CurrentFile, root: Path | None) -> Path | Diagnostic:
    """The folder that a `use` names."""
    written = use.file.value
    try:
        base = (current.folder / expand_home(written)).resolve()
        exists = base.is_dir()
    except (OSError, ValueError):  # ValueError: a path with a NUL character
        exists = False
    if not exists:
        fix = "a folder, written with a slash at its end, is where the paths of this file begin"
        return _problem(use, "E001", f'there is no folder "{written}"', fix)
    if root is not None and not base.is_relative_to(root):
        return _problem(use, "E107", f'"{written}" lies outside of the folder tree of the spec')
    return base


def _included(
    use: Use, current: _CurrentFile, roots: _Roots, includes: Includes
) -> File | Diagnostic:
    """The file that a `use` names, flattened itself."""
    written = use.file.value
    try:
        target = (current.folder / expand_home(written)).resolve()
    except (OSError, ValueError):  # ValueError: a path with a NUL character
        return _problem(use, "E001", f'"{written}" is not the path of a file')
    if not target.is_relative_to(roots.of_files):
        return _problem(use, "E107", f'"{written}" lies outside of the folder tree of the spec')
    if target in current.chain:
        return _problem(use, "E107", f'"{written}" is used by itself')
    if len(includes.trees) >= MAX_FILES:
        return _problem(use, "E003", f"a spec uses {MAX_FILES} files at most")
    source, problems = read(target)
    if source is None:
        shown = problems[0].message.replace(str(target), written)
        message = f'"{written}" cannot be used: {shown}'
        guess = None if target.exists() else nearby(target)
        fix = f'did you mean "{Path(written).with_name(guess).as_posix()}"?' if guess else _FIX
        return _problem(use, problems[0].code, message, fix)
    shown = os.path.normpath(Path(current.path).parent / written)
    inner = _CurrentFile(shown, target.parent, (*current.chain, target))
    return _parsed(use, Source(shown, source.text), inner, roots, includes)


def _parsed(
    use: Use, source: Source, current: _CurrentFile, roots: _Roots, includes: Includes
) -> File | Diagnostic:
    file, found = parse(source)
    reported = source.path in includes.sources
    includes.sources[source.path] = source
    includes.folders[source.path] = current.folder
    label = Label(use.file.span, "used here")
    labelled = [replace(each, labels=(*each.labels, label)) for each in found]
    if file is None:
        return labelled[0]
    includes.diagnostics += [] if reported else labelled
    includes.trees.append((source, file, bool(found)))
    return _flatten_file(file, current, roots, includes)


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
    """The key of a statement: one with an equal key in a later file overrides it."""
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
        own_names |= DATASET_SETTINGS
    inherited = (setting for setting in below.settings if setting.name not in own_names)
    return replace(above, settings=(*inherited, *above.settings))
