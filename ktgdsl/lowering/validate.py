"""Structural checks of the tree, before names are resolved, each a small function."""

from collections.abc import Callable, Iterable, Iterator

from ktgdsl.diagnostics.diagnostic import Diagnostic, Label
from ktgdsl.diagnostics.source import Span
from ktgdsl.lowering.let_checks import too_deep, unusable
from ktgdsl.syntax.tree import (
    Block,
    Declared,
    File,
    Graph,
    Let,
    Node,
    ShareStatement,
    Target,
    Use,
)
from ktgdsl.vocabulary.registry import kinds_of


def validate_used(file: File) -> tuple[Diagnostic, ...]:
    """The errors of an included file that do not depend on the file that includes it."""
    return tuple(diagnostic for check in OF_EACH_FILE for diagnostic in check(file))


def validate(file: File, unparsed: frozenset[str] = frozenset()) -> tuple[Diagnostic, ...]:
    """Everything that the checks find, in the order of the text.

    `unparsed` has the words of the parts that did not parse: when there are any, nobody
    complains that something is missing.
    """
    checks = CHECKS if unparsed else (*CHECKS, *MISSING)
    found = [diagnostic for check in checks for diagnostic in check(file)]
    return tuple(sorted(found, key=lambda d: d.span or file.span))


def _twice(code: str, items: Iterable[tuple[str, Span, str]], fix: str) -> Iterator[Diagnostic]:
    """Complaints about keys that come again; an item is (key, place, sentence)."""
    first: dict[str, Span] = {}
    for key, span, sentence in items:
        if key in first:
            yield Diagnostic(code, sentence, span, fix, labels=(Label(first[key], "first here"),))
        first.setdefault(key, span)


_RECIPE = "; a file without one is a recipe, which another takes over with `use`"


def has_graph(file: File) -> Iterator[Diagnostic]:
    """A spec has a graph, unless another file brings it."""
    if file.graph is None and not any(isinstance(s, Use) for s in file.statements):
        start = file.span.start
        yield Diagnostic(
            "E106",
            "this file has no graph, so there is nothing to train",
            Span(file.span.path, start, start),
            "a graph begins with `graph my_graph {`" + (_RECIPE if file.statements else ""),
        )


def one_block_of_a_kind(file: File) -> Iterator[Diagnostic]:
    """`graph`, `data`, `train` and `search` stand at most once, a phase's name too."""
    blocks = []
    for statement in file.statements:
        if isinstance(statement, Graph | Block):
            if statement.kind == "phase":
                sentence = f"there are two phases called `{statement.name}`"
                blocks.append((f"phase {statement.name}", _head(statement), sentence))
            else:
                sentence = f"a file has one `{statement.kind}` block at most"
                blocks.append((statement.kind, _head(statement), sentence))
    yield from _twice("E206", blocks, "put all into one")


def _head(statement: Graph | Block | ShareStatement) -> Span:
    """The keyword of a statement, to point at it rather than to underline it all."""
    start = statement.span.start
    return Span(statement.span.path, start, start + len(statement.kind))


def one_node_of_a_name(file: File) -> Iterator[Diagnostic]:
    """Node names differ from each other."""
    declared = (
        (name.name, name.span, f"the node `{name.name}` is declared twice")
        for name in _declared(file)
    )
    yield from _twice("E202", declared, "choose another name")


def _declared(file: File) -> list[Declared]:
    """The declarations of the graph's nodes."""
    statements = file.graph.statements if file.graph else ()
    return [name for node in statements if isinstance(node, Node) for name in node.names]


def names_of_lets(file: File) -> Iterator[Diagnostic]:
    """A `let` takes no name of the vocabulary, of a node or of another `let`."""
    lets = [s for s in file.statements if isinstance(s, Let)]
    nodes = {name.name for name in _declared(file)}
    again = ((s.name, s.name_span, f"`{s.name}` is declared twice") for s in lets)
    yield from _twice("E202", again, "choose another name")
    for let in lets:
        if kinds := kinds_of(let.name):
            message = f"`{let.name}` is the name of a {kinds[0]} and cannot be given to a `let`"
            yield Diagnostic("E203", message, let.name_span, "choose another name")
        elif let.name in nodes:
            message = f"`{let.name}` is a node and cannot be a `let` as well"
            yield Diagnostic("E203", message, let.name_span, "choose another name")


def usable_lets(file: File) -> Iterator[Diagnostic]:
    """No `let` is defined by itself, or stands for more than anybody could write."""
    yield from unusable(file).values()
    yield from too_deep(file)


def names_of_files(file: File) -> Iterator[Diagnostic]:
    """Files are named after nodes, and folders after graphs, with a few more characters."""
    graph = file.graph
    names = [(each.name, each.span) for each in _declared(file)]
    for name, span in [*([(graph.name, _head(graph))] if graph else []), *names]:
        if len(name) > LONGEST_NAME:
            message = f"a name has at most {LONGEST_NAME} characters, and this has {len(name)}"
            yield Diagnostic("E003", message, span)


def has_target(file: File) -> Iterator[Diagnostic]:
    """A graph is for something."""
    graph = file.graph
    if graph is None:
        return
    names = [declared.name for declared in _declared(file)]
    if not names:
        message = f"the graph `{graph.name}` has no nodes"
        yield Diagnostic("E401", message, _head(graph), "`node a = resnet8` declares one")
    elif not any(isinstance(statement, Target) for statement in graph.statements):
        message = f"the graph `{graph.name}` has no target"
        fix = f"name the node that the graph is for: `target {names[0]}`"
        yield Diagnostic("E401", message, _head(graph), fix)


LONGEST_NAME = 200
"""Characters of the name of a graph or node."""

Check = Callable[[File], Iterator[Diagnostic]]

OF_EACH_FILE: tuple[Check, ...] = (
    one_block_of_a_kind,
    one_node_of_a_name,
    names_of_files,
    names_of_lets,
)
"""Checks of each included file by itself: no other file can make up for these errors."""

CHECKS: tuple[Check, ...] = (
    *OF_EACH_FILE,
    usable_lets,
)
MISSING: tuple[Check, ...] = (has_graph, has_target)
