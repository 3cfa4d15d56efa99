"""From a file or a text to a plan: read, parse, override, validate, lower."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source
from ktgdsl.errors import SpecError
from ktgdsl.lowering.lower import lower
from ktgdsl.lowering.spec_paths import SpecPaths
from ktgdsl.lowering.validate import validate
from ktgdsl.lowering.values import ANYTHING
from ktgdsl.plan.model import Plan
from ktgdsl.syntax.parse import parse
from ktgdsl.syntax.read import read
from ktgdsl.syntax.tree import Choice, File, Range, Use
from ktgdsl.syntax.walk import walk

_OPEN = ("|", "..")
"""The signs without which nothing is open."""


@dataclass(frozen=True)
class Compiled:
    """What became of a spec at each stage; None from the stage on that failed."""

    sources: Mapping[str, Source]
    tree: File | None = None
    plan: Plan | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


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
    source, problems = read(path)
    if source is None:
        return Compiled({}, diagnostics=problems)
    folder = Path.cwd() if str(path) == "-" else Path(path).parent
    return compile_source(source, folder, settings, root, pedantic=pedantic)


def compile_source(
    source: Source,
    folder: Path,
    settings: Iterable[str] = (),
    root: str | Path | None = None,
    *,
    pedantic: bool = False,
) -> Compiled:
    """Compile a text; paths in it are relative to `folder`. Raises nothing."""
    sources = {source.path: source}
    tree, diagnostics = parse(source)
    if tree is None:
        return Compiled(sources, diagnostics=diagnostics)
    # What parsed is looked at even when something else did not, to find all errors in one go.
    unread = _unread(source, tree) if diagnostics else frozenset()
    paths = SpecPaths(folder, root=None if root is None else Path(root))
    if any(isinstance(statement, Use) for statement in tree.statements):
        from ktgdsl.lowering.validate import validate_used
        from ktgdsl.syntax.includes import flatten  # most specs stand alone

        tree, used = flatten(tree, source.path, folder, paths.root)
        sources |= used.sources
        paths = replace(paths, used=used.folders)
        diagnostics += tuple(used.diagnostics)
        for text, alone, broken in used.trees:
            diagnostics += validate_used(alone)
            unread |= _unread(text, alone) if broken else frozenset()
        unread |= {ANYTHING} if used.missing else frozenset()
    for setting in settings:
        from ktgdsl.syntax.overrides import override  # most checks have none

        tree, given, found = override(tree, setting, unread)
        sources[given.path] = given
        diagnostics += found
    diagnostics += validate(tree, unread)
    if _is_open(tree, sources.values(), certain=not diagnostics):
        from ktgdsl.space.space import lower_space  # most specs leave nothing open

        lowered = lower_space(tree, paths, diagnostics, unread)
    else:
        lowered = lower(tree, paths, diagnostics, unread)
    plan, found = lowered.plan, lowered.diagnostics
    if pedantic and plan is not None:
        from ktgdsl.lowering.lint import lint

        found = (*found, *lint(plan, tree))
    return Compiled(sources, tree, plan, _ordered((*diagnostics, *found), sources))


def _is_open(tree: File, sources: Iterable[Source], *, certain: bool) -> bool:
    """Whether a tree leaves anything open; `certain` tells one that is all that sources say."""
    if certain and not any(sign in source.text for source in sources for sign in _OPEN):
        return False  # which saves going through a large tree
    return any(isinstance(part, Choice | Range) for part in walk(tree))


def _ordered(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source]
) -> tuple[Diagnostic, ...]:
    """Each once, in the order of the text: the file, then those it uses, then overrides."""
    order = {path: number for number, path in enumerate(sources)}

    def place(diagnostic: Diagnostic) -> tuple[int, int, int]:
        span = diagnostic.span
        return (0, 0, 0) if span is None else (order[span.path], span.start, span.end)

    return tuple(sorted(dict.fromkeys(diagnostics), key=place))


def _unread(source: Source, tree: File) -> frozenset[str]:
    from ktgdsl.syntax.unparsed import unread_words  # only a mistake needs it

    return unread_words(source, tree)


def flattened(compiled: Compiled, settings: Sequence[str]) -> str:
    """A spec that compiled as one file: its own text, or with all used files and overrides in it.

    `settings` are those that it was compiled with.
    """
    if not settings and len(compiled.sources) == 1:
        return next(iter(compiled.sources.values())).text
    from ktgdsl.syntax.format import format_file  # a check has no use for it

    assert compiled.tree is not None
    comments = "".join(f"# --set {setting}\n" for setting in settings)
    return f"{comments}\n{format_file(compiled.tree)}"


def load(path: str | Path, settings: Iterable[str] = ()) -> Plan:
    """The plan of a `.ktg` file.

    `settings` are overrides such as "train.epochs=2" (see the language reference). Raises
    SpecError, with every diagnostic, when the file has an error.
    """
    _require_list(settings)
    return _plan(compile_file(path, settings))


def loads(text: str, settings: Iterable[str] = (), *, name: str = "<text>") -> Plan:
    """The plan of a spec given as text; `name` is what diagnostics call it.

    Paths in it are relative to the current folder. Raises SpecError, with every
    diagnostic, when the text has an error.
    """
    _require_list(settings)
    return _plan(compile_source(Source(name, text), Path.cwd(), settings))


def check(path: str | Path, settings: Iterable[str] = ()) -> tuple[Diagnostic, ...]:
    """All that there is to say about a file; nothing to fix when no severity is "error"."""
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
