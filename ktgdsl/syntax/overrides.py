"""Overrides from the command line: `train.epochs=2` put into the tree before it is checked."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Literal, NamedTuple, TypeVar

from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source, Span
from ktgdsl.syntax.override_hints import FORMS, fix_of_path
from ktgdsl.syntax.parse import parse_value
from ktgdsl.syntax.read import not_text
from ktgdsl.syntax.tree import (
    Block,
    CallExpression,
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
from ktgdsl.vocabulary.spelling import closest, there_are

_Block = TypeVar("_Block", Block, Node)
BlockKind = Literal["data", "train", "pretrain", "search"]


class _Override(NamedTuple):
    """An override taken apart: its path, its value, and where both stand."""

    path: tuple[str, ...]
    path_span: Span
    value: Value
    text: str
    unparsed: frozenset[str]


Result = tuple[File, Source, tuple[Diagnostic, ...]]


def override(file: File, setting: str, unparsed: frozenset[str] = frozenset()) -> Result:
    """The tree with an override applied, its text as a source, and what is wrong with it.

    The value is read as in a file; what does not parse is taken as a string. `unparsed` has
    the words of the parts of the file that did not parse: what may be declared there is
    not called missing.
    """
    left, equals, right = setting.partition("=")
    option = f"--set {setting}"
    source = Source(option, setting, option)
    if (foreign := not_text(source)) is not None:
        return file, source, (foreign,)
    path_span = Span(source.path, 0, len(left))
    path = tuple(part.strip() for part in left.split("."))
    problem = None
    if not equals or not all(path):
        problem = "an override is PATH=VALUE"
    elif not right.strip():
        problem = f"the override of `{left.strip()}` has no value"
    if problem is not None:
        return file, source, (Diagnostic("E210", problem, path_span, FORMS),)
    change = _Override(path, path_span, _value(source, path, left, right), right, unparsed)
    changed = _apply(file, change)
    if changed is None:
        return file, source, ()
    if isinstance(changed, Diagnostic):
        return file, source, (changed,)
    return changed, source, ()


def _value(source: Source, path: tuple[str, ...], left: str, right: str) -> Value:
    # Spaces in front keep the places of the value those of the whole override.
    padded = Source(source.path, " " * (len(left) + 1) + right)
    value, problems = parse_value(padded)
    text = right.strip()
    if path[0] == "node" and path[2:] == ("weights",) and not text.startswith('"'):
        value = None  # a path, though `t.safetensors` would parse as a tap
    if value is None or problems:
        start = len(left) + 1 + right.index(text)
        return String(span=Span(source.path, start, start + len(text)), value=text)
    return value


def _apply(file: File, change: _Override) -> File | Diagnostic | None:
    """The tree changed; None for what may be in a part that did not parse."""
    match change.path:
        case ("data",):
            return _block(file, "data", change, lambda block: replace(block, subject=change.value))
        case ("data" | "train" | "pretrain" | "search" as kind, name):
            return _block(file, kind, change, lambda block: _with(block, change, name))
        case ("let", name):
            return _let(file, change, name)
        case ("phase", phase, name):
            return _phase(file, change, phase, name)
        case ("node", name):
            return _node(file, change, name, None)
        case ("node", name, setting):
            return _node(file, change, name, setting)
        case (block, setting, argument) if block in ("data", "train", "pretrain", "search"):
            return Diagnostic(
                "E210",
                f"`{'.'.join(change.path)}` is part of a value, and values are replaced as a whole",
                change.path_span,
                f"write `{block}.{setting}=NAME({argument}=...)` with all its arguments",
            )
    message = f"`{'.'.join(change.path)}` is nothing that can be overridden"
    fix = fix_of_path(change.path, change.text, _lets(file), _node_names(file))
    return Diagnostic("E210", message, change.path_span, fix)


def _with(block: _Block, change: _Override, name: str) -> _Block:
    """The block or node with one setting replaced or added."""
    settings: tuple[Setting, ...] = block.settings
    new = Setting(
        span=change.path_span.to(change.value.span),
        name=name,
        name_span=change.path_span,
        value=change.value,
    )
    at: int = next((i for i, s in enumerate(settings) if s.name == name), len(settings))
    return replace(block, settings=(*settings[:at], new, *settings[at + 1 :]))


def _replaced(file: File, old: Statement, new: Statement) -> File:
    """The file with one statement in place of another."""
    statements = tuple(new if statement is old else statement for statement in file.statements)
    return replace(file, statements=statements)


def _block(file: File, kind: BlockKind, change: _Override, apply: Callable[[Block], Block]) -> File:
    """The file with its block of a kind changed, or with a new one."""
    old = file.block(kind)
    if old is not None:
        return _replaced(file, old, apply(old))
    span = change.path_span
    # A file without a `data` block learns from the digits.
    digits = CallExpression(span=span, name="digits", name_span=span) if kind == "data" else None
    new = apply(Block(span=span, kind=kind, subject=digits))
    return replace(file, statements=(*file.statements, new))


def _phase(file: File, change: _Override, phase: str, name: str) -> File | Diagnostic | None:
    phases = {
        s.name: s
        for s in reversed(file.statements)
        if isinstance(s, Block) and s.kind == "phase" and s.name
    }
    block = phases.get(phase)
    if block is None:
        return _unknown("phase", phase, [*reversed(phases)], change)
    return _replaced(file, block, _with(block, change, name))


def _lets(file: File) -> dict[str, Let]:
    return {s.name: s for s in file.statements if isinstance(s, Let)}


def _node_names(file: File) -> list[str]:
    nodes = [s for s in file.graph.statements if isinstance(s, Node)] if file.graph else []
    return [declared.name for node in nodes for declared in node.names]


def _let(file: File, change: _Override, name: str) -> File | Diagnostic | None:
    lets = _lets(file)
    if name not in lets:
        return _unknown("let", name, lets, change)
    return _replaced(file, lets[name], replace(lets[name], value=change.value))


def _node(
    file: File, change: _Override, name: str, setting: str | None
) -> File | Diagnostic | None:
    graph = file.graph
    names = _node_names(file)
    if graph is None or name not in names:
        return _unknown("node", name, names, change)
    statements: list[GraphStatement] = []
    for statement in graph.statements:
        if isinstance(statement, Node):
            statements += [
                _changed(node, change, setting) if node.names[0].name == name else node
                for node in _split(statement, name)
            ]
        else:
            statements.append(statement)
    changed: Graph = replace(graph, statements=tuple(statements))
    return _replaced(file, graph, changed)


def _changed(node: Node, change: _Override, setting: str | None) -> Node:
    if setting is None:
        return replace(node, network=change.value)
    return _with(node, change, setting)


def _split(node: Node, name: str) -> list[Node]:
    """The statement with the declaration of `name` in a statement of its own, order kept."""
    groups: list[list[Declared]] = [[]]
    for declared in node.names:
        if declared.name == name:
            groups += [[declared], []]
        else:
            groups[-1].append(declared)
    return [replace(node, names=tuple(group)) for group in groups if group]


def _unknown(kind: str, name: str, names: Collection[str], change: _Override) -> Diagnostic | None:
    if name in change.unparsed:
        return None
    guess = closest(name.partition("[")[0], list(names))
    known = there_are(names) if names else None
    fix = f"did you mean `{guess}`?" if guess else known
    return Diagnostic("E210", f"the spec has no {kind} called `{name}`", change.path_span, fix)
