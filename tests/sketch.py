"""A tree as a short text with every bracket written, for comparing with one written by hand."""

from ktgdsl.syntax import tree as s


def sketch(part: object) -> str:
    """Calls have parentheses, operations too; strings and what is left out are Python's."""
    match part:
        case s.Number() | s.Boolean() | s.String():
            return repr(part.value)
        case s.PercentLiteral():
            return f"{part.value!r}%"
        case s.StepsLiteral():
            return f"{part.number.value!r} steps"
        case s.List():
            return f"[{_commas(part.items)}]"
        case s.Argument():
            return f"{part.name}={sketch(part.value)}" if part.name else sketch(part.value)
        case s.CallExpression():
            return f"{part.name}({_commas(part.arguments)})"
        case s.Unary():
            return f"({part.operator}{sketch(part.operand)})"
        case s.Binary():
            return f"({sketch(part.left)} {part.operator} {sketch(part.right)})"
        case s.Choice():
            return f"({' | '.join(sketch(option) for option in part.options)})"
        case s.Range():
            return f"({sketch(part.low)} .. {sketch(part.high)})"
        case s.All():
            return "*"
        case s.Reference():
            index = "" if part.index is None else f"[{sketch(part.index)}]"
            return part.name + index + ("" if part.tap is None else f".{sketch(part.tap)}")
        case s.Setting():
            return f"{part.name} = {sketch(part.value)}"
        case s.Declared():
            return part.name + ("" if part.size is None else f"[{sketch(part.size)}]")
        case s.Node():
            return f"node {_commas(part.names)} = {sketch(part.network)}{_block(part.settings)}"
        case s.Target():
            return f"target {_commas(part.names)}"
        case s.Term():
            return f"{part.loss and sketch(part.loss)} via {part.gate and sketch(part.gate)}"
        case s.Edge():
            ends = f"{_commas(part.sources)} {part.arrow} {_commas(part.destinations)}"
            return f"edge {ends}{''.join(f' : {sketch(term)}' for term in part.terms)}"
        case s.ShareStatement():
            return f"share {_commas(part.names)}{_block(part.settings)}"
        case s.Graph():
            return f"graph {part.name}"
        case s.Block():
            subject = "" if part.subject is None else f" {sketch(part.subject)}"
            name = "" if part.name is None else f" {part.name}"
            return f"{part.kind}{subject}{name}{_block(part.settings)}"
        case s.Let():
            return f"let {'each ' * part.each}{part.name} = {sketch(part.value)}"
        case s.Use():
            return f"use {sketch(part.file)}"
    raise TypeError(f"not a part of a tree: {part!r}")


def _commas(parts: tuple[object, ...]) -> str:
    return ", ".join(sketch(part) for part in parts)


def _block(settings: tuple[s.Setting, ...]) -> str:
    return f" {{ {'; '.join(sketch(setting) for setting in settings)} }}"


def lines(tree: s.File | None) -> list[str]:
    """The statements of a file, those of its graph after it."""
    assert tree is not None
    found = []
    for statement in tree.statements:
        found.append(sketch(statement))
        if isinstance(statement, s.Graph):
            found.extend(f"  {sketch(member)}" for member in statement.statements)
    return found
