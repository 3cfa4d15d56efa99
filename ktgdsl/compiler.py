"""The compiler: read, parse, include, override, validate, lower, lint."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source
from ktgdsl.errors import RunError, SpecError, warn
from ktgdsl.files import expand_home
from ktgdsl.lowering.lint import lint
from ktgdsl.lowering.lower import lower
from ktgdsl.lowering.spec_paths import SpecPaths
from ktgdsl.lowering.validate import validate, validate_used
from ktgdsl.lowering.values import ANYTHING
from ktgdsl.plan.model import Plan
from ktgdsl.space.space import lower_space
from ktgdsl.syntax.includes import flatten
from ktgdsl.syntax.overrides import override
from ktgdsl.syntax.parse import Parsed, parse
from ktgdsl.syntax.places import span_of
from ktgdsl.syntax.read import not_text, read, unusable_folder
from ktgdsl.syntax.tree import Choice, File, Range, Use
from ktgdsl.syntax.unparsed import unparsed_words
from ktgdsl.syntax.walk import walk
from ktgdsl.syntax.written import changed_since_written

_OPEN_SIGNS = ("|", "..")
"""The operators of open values: a spec with neither in its text is no space."""


class Compiled(NamedTuple):
    """The result of each stage of compiling a spec; None from the first stage that failed."""

    sources: Mapping[str, Source]
    tree: File | None = None
    plan: Plan | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    paths: SpecPaths | None = None
    """How to resolve the paths in it; None for a text without `use`: from its own folder."""


def compile_file(
    path: str | Path,
    settings: Iterable[str] = (),
    root: str | Path | None = None,
    *,
    pedantic: bool = False,
) -> Compiled:
    """Compile a file; `settings` are overrides such as "train.epochs=2". Raises nothing.

    The files that it names lie inside of `root`, by default its project (language.paths).
    `pedantic` adds warnings about what is legal but suspicious.
    """
    path = expand_home(path) if str(path).startswith("~") else path
    source, problems = read(path)
    if source is None:
        return Compiled({}, diagnostics=problems)
    folder = Path() if str(path) == "-" else Path(path).parent
    compiled = compile_source(source, folder, settings, root, pedantic=pedantic)
    texts = (each for name, each in compiled.sources.items() if name.endswith(".ktg"))
    changed = (changed_since_written(each.path, each.text) for each in texts)
    found = [each for each in changed if each is not None]
    return compiled._replace(diagnostics=(*found, *compiled.diagnostics)) if found else compiled


def compile_source(
    source: Source,
    folder: Path,
    settings: Iterable[str] = (),
    root: str | Path | None = None,
    *,
    pedantic: bool = False,
    parsed: Parsed | None = None,
) -> Compiled:
    """Compile a text; paths in it are relative to `folder`. Raises nothing.

    `parsed` is the result of `parse(source)`, where the caller has it already.
    """
    sources = {source.path: source}
    foreign = not_text(source) or unusable_folder(folder, source.path)
    if foreign is not None:
        return Compiled(sources, diagnostics=(foreign,))
    tree, diagnostics = parsed or parse(source)
    if tree is None:
        return Compiled(sources, diagnostics=diagnostics)
    # After syntax errors the sound statements are checked all the same: all errors in one go.
    unparsed = unparsed_words(source, tree) if diagnostics else frozenset()
    paths = SpecPaths(folder, root=None if root is None else Path(root))
    uses = any(isinstance(statement, Use) for statement in tree.statements)
    if uses:
        tree, includes = flatten(tree, source.path, folder, paths.root)
        sources |= includes.sources
        base = includes.folders.pop(source.path)
        paths = paths._replace(folder=base, used=includes.folders, named=tuple(includes.named))
        diagnostics += tuple(includes.diagnostics)
        for text, used_tree, is_broken in includes.trees:
            diagnostics += validate_used(used_tree)
            unparsed |= unparsed_words(text, used_tree) if is_broken else frozenset()
        unparsed |= {ANYTHING} if includes.missing else frozenset()
    for setting in settings:
        tree, setting_source, problems = override(tree, setting, unparsed)
        sources[setting_source.path] = setting_source
        diagnostics += problems
    diagnostics += validate(tree, unparsed)
    is_space = _is_space(tree, sources.values(), is_complete=not diagnostics)
    lowered = (lower_space if is_space else lower)(tree, paths, diagnostics, unparsed)
    diagnostics += lowered.diagnostics
    if pedantic and lowered.plan is not None:
        diagnostics += tuple(lint(lowered.plan, tree))
    found = _ordered(diagnostics, sources)
    return Compiled(sources, tree, lowered.plan, found, paths if uses else None)


def _is_space(tree: File, sources: Iterable[Source], *, is_complete: bool) -> bool:
    """Whether a tree has open values; `is_complete` if it has every statement of the sources."""
    if is_complete and not any(sign in source.text for source in sources for sign in _OPEN_SIGNS):
        return False  # without a traversal of the tree, which may be large
    return any(isinstance(node, Choice | Range) for node in walk(tree))


def _ordered(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source]
) -> tuple[Diagnostic, ...]:
    """The distinct diagnostics in the order of the text: the file, files it uses, overrides."""
    order = {path: number for number, path in enumerate(sources)}

    def position(diagnostic: Diagnostic) -> tuple[int, int, int]:
        span = diagnostic.span
        return (0, 0, 0) if span is None else (order[span.path], span.start, span.end)

    return tuple(sorted(dict.fromkeys(diagnostics), key=position))


@contextmanager
def locate_errors(compiled: Compiled) -> Iterator[None]:
    """Give RunErrors about nodes and edges of the plan their places in the compiled spec."""
    try:
        yield
    except RunError as error:
        if all(each.subject is None for each in error.diagnostics):
            raise
        diagnostics = [located(compiled, each) for each in error.diagnostics]
        raise RunError(diagnostics, {**compiled.sources, **error.sources}) from error


@contextmanager
def locate_errors_in(path: Path) -> Iterator[None]:
    """The same for the spec at `path`, which is compiled only after such an error."""
    try:
        yield
    except RunError:
        with locate_errors(compile_file(path)):
            raise


def located(compiled: Compiled, diagnostic: Diagnostic) -> Diagnostic:
    """A diagnostic with the place of its subject in the compiled spec, unless it has a place."""
    if compiled.tree is None or diagnostic.subject is None or diagnostic.span is not None:
        return diagnostic
    span = span_of(compiled.tree, diagnostic.subject)
    return replace(diagnostic, span=span, path=span.path if span else diagnostic.path)


def load(path: str | Path, settings: Iterable[str] = ()) -> Plan:
    """The plan of a `.ktg` file.

    `settings` are overrides such as "train.epochs=2" (see the language reference). Warns (W310)
    where a run or a search has written the file and it is another one now. Raises SpecError, with
    every diagnostic, when the file has an error.
    """
    _require_list(settings)
    compiled = compile_file(path, settings)
    for each in compiled.diagnostics:
        if each.code == "W310":
            warn(each.code, each.message, help=each.help, path=Path(path))
    return _plan(compiled)


def loads(text: str, settings: Iterable[str] = (), *, name: str = "<text>") -> Plan:
    """The plan of a spec given as text; `name` is what diagnostics call it.

    Paths in it are relative to the current folder. Raises SpecError, with every
    diagnostic, when the text has an error.
    """
    _require_list(settings)
    return _plan(compile_source(Source(name, text), Path.cwd(), settings))


def check(path: str | Path, settings: Iterable[str] = ()) -> tuple[Diagnostic, ...]:
    """The diagnostics of a file: errors and warnings. It is valid if none has severity "error"."""
    _require_list(settings)
    return compile_file(path, settings).diagnostics


def _plan(compiled: Compiled) -> Plan:
    if compiled.plan is None:
        raise SpecError(compiled.diagnostics, compiled.sources)
    return compiled.plan


def _require_list(settings: Iterable[str]) -> None:
    """Raises TypeError for a text, each of whose characters would be an override."""
    if isinstance(settings, str):
        raise TypeError(
            f"overrides are a list of texts: [{json.dumps(settings, ensure_ascii=False)}]"
        )
