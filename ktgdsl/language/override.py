"""Overrides from the command line: `train.epochs=2` put into the tree before it is checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ktgdsl.language.diagnostic import Diagnostic
from ktgdsl.language.parse import parse_value
from ktgdsl.language.source import Source, Span
from ktgdsl.language.syntax import (
    Block,
    Declared,
    File,
    Graph,
    GraphStatement,
    Let,
    Node,
    Setting,
    Statement,
    String,
    Value,
)
from ktgdsl.vocabulary.registry import closest

Blocks = Literal["data", "train", "search"]
_BLOCKS: tuple[Blocks, ...] = ("data", "train", "search")
_FORMS = "write train.epochs=2, data=digits, data.batch=32, node.a=resnet14 or let.T=4"


@dataclass(frozen=True)
class _Given:
    """An override taken apart: its path, its value, and where both stand."""

    source: Source
    path: tuple[str, ...]
    path_span: Span
    value: Value


Result = tuple[File, Source, tuple[Diagnostic, ...]]


def override(file: File, setting: str) -> Result:
    """The tree with an override applied, its text as a source, and what is wrong with it.

    The value is read as in a file; what does not parse is taken as a string.
    """
    left, equals, right = setting.partition("=")
    source = Source(f"--set {setting}", setting)
    path_span = Span(source.path, 0, len(left))
    path = tuple(part.strip() for part in left.split("."))
    if not equals or not all(path):
        return file, source, (Diagnostic("E210", "an override is PATH=VALUE", path_span, _FORMS),)
    # Spaces in front keep the places of the value those of the whole override.
    padded = Source(source.path, " " * (len(left) + 1) + right)
    value, problems = parse_value(padded)
    if value is None or problems:
        value = String(span=Span(source.path, len(left) + 1, len(setting)), value=right.strip())
    given = _Given(source, path, path_span, value)
    changed = _apply(file, given)
    if isinstance(changed, Diagnostic):
        return file, source, (changed,)
    return changed, source, ()


def _apply(file: File, given: _Given) -> File | Diagnostic:
    match given.path:
        case ("data",):
            return _subject(file, given)
        case ("data" | "train" | "search" as kind, name):
            return _block(file, given, kind, name)
        case ("let", name):
            return _let(file, given, name)
        case ("phase", phase, name):
            return _phase(file, given, phase, name)
        case ("node", name):
            return _node(file, given, name, None)
        case ("node", name, setting):
            return _node(file, given, name, setting)
    text = ".".join(given.path)
    return Diagnostic(
        "E210", f"`{text}` is nothing that can be overridden", given.path_span, _FORMS
    )


def _with(settings: Sequence[Setting], given: _Given, name: str) -> tuple[Setting, ...]:
    """The settings with one replaced or added."""
    new = Setting(
        span=given.path_span.to(given.value.span),
        name=name,
        name_span=given.path_span,
        value=given.value,
    )
    if any(s.name == name for s in settings):
        return tuple(new if s.name == name else s for s in settings)
    return (*settings, new)


def _statements(file: File, statements: Sequence[Statement]) -> File:
    return file.model_copy(update={"statements": tuple(statements)})


def _subject(file: File, given: _Given) -> File:
    update = {"subject": given.value}
    if file.block("data") is None:
        new = Block(span=given.path_span, kind="data", subject=given.value)
        return _statements(file, (*file.statements, new))
    return _statements(
        file,
        [
            s.model_copy(update=update) if isinstance(s, Block) and s.kind == "data" else s
            for s in file.statements
        ],
    )


def _block(file: File, given: _Given, kind: Blocks, name: str) -> File:
    if file.block(kind) is None:
        new = Block(span=given.path_span, kind=kind, settings=_with((), given, name))
        return _statements(file, (*file.statements, new))
    return _statements(
        file,
        [
            s.model_copy(update={"settings": _with(s.settings, given, name)})
            if isinstance(s, Block) and s.kind == kind
            else s
            for s in file.statements
        ],
    )


def _phase(file: File, given: _Given, phase: str, name: str) -> File | Diagnostic:
    phases = [s.name or "" for s in file.statements if isinstance(s, Block) and s.kind == "phase"]
    if phase not in phases:
        return _nothing("phase", phase, phases, given)
    return _statements(
        file,
        [
            s.model_copy(update={"settings": _with(s.settings, given, name)})
            if isinstance(s, Block) and s.kind == "phase" and s.name == phase
            else s
            for s in file.statements
        ],
    )


def _let(file: File, given: _Given, name: str) -> File | Diagnostic:
    lets = [s.name for s in file.statements if isinstance(s, Let)]
    if name not in lets:
        return _nothing("let", name, lets, given)
    return _statements(
        file,
        [
            s.model_copy(update={"value": given.value})
            if isinstance(s, Let) and s.name == name
            else s
            for s in file.statements
        ],
    )


def _node(file: File, given: _Given, name: str, setting: str | None) -> File | Diagnostic:
    graph = file.graph
    nodes = [s for s in graph.statements if isinstance(s, Node)] if graph else []
    names = [declared.name for node in nodes for declared in node.names]
    if graph is None or name not in names:
        return _nothing("node", name, names, given)
    statements: list[GraphStatement] = []
    for statement in graph.statements:
        if isinstance(statement, Node):
            statements += [
                _changed(node, given, setting) if node.names[0].name == name else node
                for node in _apart(statement, name)
            ]
        else:
            statements.append(statement)
    changed: Graph = graph.model_copy(update={"statements": tuple(statements)})
    return _statements(file, [changed if s is graph else s for s in file.statements])


def _changed(node: Node, given: _Given, setting: str | None) -> Node:
    if setting is None:
        return node.model_copy(update={"network": given.value})
    return node.model_copy(update={"settings": _with(node.settings, given, setting)})


def _apart(node: Node, name: str) -> list[Node]:
    """The statement with the declaration of `name` in a statement of its own, order kept."""
    groups: list[list[Declared]] = [[]]
    for declared in node.names:
        if declared.name == name:
            groups += [[declared], []]
        else:
            groups[-1].append(declared)
    return [node.model_copy(update={"names": tuple(group)}) for group in groups if group]


def _nothing(kind: str, name: str, names: Sequence[str], given: _Given) -> Diagnostic:
    guess = closest(name, list(names))
    known = f"there is {', '.join(f'`{n}`' for n in names)}" if names else None
    fix = f"did you mean `{guess}`?" if guess else known
    return Diagnostic("E210", f"the spec has no {kind} called `{name}`", given.path_span, fix)
