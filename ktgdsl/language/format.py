"""Tree to text: a file that says the same as the tree, in one layout, without comments."""

from collections.abc import Iterable, Sequence

from ktgdsl.language.syntax import (
    All,
    Argument,
    Binary,
    Block,
    Boolean,
    Call,
    Choice,
    Edge,
    File,
    Graph,
    GraphStatement,
    Let,
    List,
    Node,
    Number,
    Percent,
    Range,
    Reference,
    Setting,
    Share,
    Statement,
    String,
    Target,
    Term,
    Unary,
    Use,
    Value,
)

INDENT = "    "
_CHOICE, _RANGE, _SUM, _PRODUCT, _UNARY, _ATOM = range(6)
_BINDING = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT}


def format_file(file: File) -> str:
    """The text of a tree; parsing it gives an equal tree."""
    return "\n".join(_statement(statement) for statement in file.statements)


def _statement(statement: Statement) -> str:
    match statement:
        case Graph():
            lines = [INDENT + _graph_statement(inner) for inner in statement.statements]
            return "\n".join([f"graph {statement.name} {{", *lines, "}", ""])
        case Block():
            head = " ".join(
                part
                for part in (
                    statement.kind,
                    statement.name,
                    format_value(statement.subject) if statement.subject else None,
                )
                if part
            )
            return "\n".join([f"{head} {{", *_aligned(statement.settings), "}", ""])
        case Let():
            each = "each " if statement.each else ""
            return f"let {each}{statement.name} = {format_value(statement.value)}\n"
        case Use():
            return f"use {format_value(statement.file)}\n"


def _aligned(settings: Sequence[Setting]) -> list[str]:
    width = max((len(setting.name) for setting in settings), default=0)
    return [f"{INDENT}{s.name:<{width}} = {format_value(s.value)}" for s in settings]


def _graph_statement(statement: GraphStatement) -> str:
    match statement:
        case Node():
            names = ", ".join(
                declared.name + (f"[{format_value(declared.size)}]" if declared.size else "")
                for declared in statement.names
            )
            network = format_value(statement.network)
            return f"node {names} = {network}{_inline(statement.settings)}"
        case Target():
            return f"target {_references(statement.names)}"
        case Share():
            return f"share {_references(statement.names)}{_inline(statement.settings)}"
        case Edge():
            return _edge(statement)


def _inline(settings: Sequence[Setting]) -> str:
    if not settings:
        return ""
    return " { " + "  ".join(f"{s.name} = {format_value(s.value)}" for s in settings) + " }"


def _edge(edge: Edge) -> str:
    text = f"edge {_references(edge.sources)}"
    if edge.arrow:
        text += f" {edge.arrow} {_references(edge.destinations)}"
    if not edge.terms:
        return text
    if len(edge.terms) == 1 and edge.terms[0].loss is None:
        return f"{text} {_term(edge.terms[0])}"
    return f"{text} : {', '.join(_term(term) for term in edge.terms)}"


def _term(term: Term) -> str:
    parts = [format_value(term.loss)] if term.loss else []
    if term.gate:
        parts.append(f"via {format_value(term.gate)}")
    return " ".join(parts)


def _references(references: Iterable[Reference]) -> str:
    return ", ".join(format_value(reference) for reference in references)


def format_value(value: Value) -> str:
    """The text of a value, with the parentheses that it needs and no others."""
    return _value(value)[0]


def _value(value: Value) -> tuple[str, int]:
    """The text of a value, and how tightly its outermost sign binds."""
    match value:
        case Number():
            return _number(value.value), _ATOM
        case Percent():
            return f"{_number(value.value)}%", _ATOM
        case Boolean():
            return str(value.value).lower(), _ATOM
        case String():
            return _string(value.value), _ATOM
        case List():
            return f"[{', '.join(format_value(item) for item in value.items)}]", _ATOM
        case Call():
            inner = ", ".join(_argument(argument) for argument in value.arguments)
            return value.name + (f"({inner})" if value.arguments else ""), _ATOM
        case Reference():
            return _reference(value), _ATOM
        case Unary():
            return f"-{_inside(value.operand, _UNARY)}", _UNARY
        case Binary():
            level = _BINDING[value.operator]
            left, right = _inside(value.left, level), _inside(value.right, level + 1)
            return f"{left} {value.operator} {right}", level
        case Range():
            return f"{_inside(value.low, _SUM)} .. {_inside(value.high, _SUM)}", _RANGE
        case Choice():
            return " | ".join(_inside(option, _RANGE) for option in value.options), _CHOICE


def _inside(value: Value, least: int) -> str:
    text, level = _value(value)
    return text if level >= least else f"({text})"


def _argument(argument: Argument) -> str:
    prefix = f"{argument.name}=" if argument.name else ""
    return prefix + format_value(argument.value)


def _reference(reference: Reference) -> str:
    text = reference.name
    if reference.index is not None:
        inside = "*" if isinstance(reference.index, All) else format_value(reference.index)
        text += f"[{inside}]"
    match reference.tap:
        case None:
            return text
        case Call(arguments=()) | String():
            return f"{text}.{format_value(reference.tap)}"
    return f"{text}.({format_value(reference.tap)})"


def _number(value: int | float) -> str:
    return repr(value)


def _string(text: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(char, char) for char in text) + '"'
