"""Extracts source of the package for scripts: definitions with their dependencies and imports."""

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from inspect import getsource
from types import ModuleType

PACKAGE = "ktgdsl"

Place = tuple[str, str]
"""A definition: the name of its module, and its own."""

REGISTERING = frozenset({"combines", "computes_gate", "computes_loss"})
"""Decorators that only register a function for its word."""

UNUSED = frozenset({"before_relu", "state_dict", "load_state_dict", "is_earlier", "after"})
"""Methods that a script never calls: it resolves no taps, and does not resume."""


@dataclass(frozen=True)
class _Source:
    """A module: its lines, and by name its definitions and what it imports."""

    lines: tuple[str, ...]
    definitions: dict[str, ast.stmt]
    imports: dict[str, str | Place]
    """A module as `import` names it, or the module and the name that `from` takes."""


@dataclass
class Definitions:
    """Definitions of the package in an order in which each comes after those that it needs.

    Attributes:
        names: what each is called in the script: as in the package, unless two are called so.
        texts: their source, in order.
        imports: the lines that import what they use of other packages.
        own: the lines that import functions of the user's.
        written: the names of functions that are not of the package.
        unused: the names of methods that are left out.
    """

    names: dict[Place, str] = field(default_factory=dict)
    texts: dict[Place, str] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    unused: frozenset[str] = UNUSED

    def fresh(self, name: str) -> str:
        """The name for a function that is written, with a `_` where another has it already."""
        while name in self.written:
            name += "_"
        self.written.add(name)
        return name

    def add(self, *definitions: object) -> None:
        """Add functions, classes of the package, and what they use."""
        for each in definitions:
            self.add_named(_place(each))

    def add_named(self, place: Place) -> str:
        """Add the definition of that name in a module of the package; its name in the script."""
        module, name = place
        source = _read(module)
        while name not in source.definitions:
            found = source.imports[name]
            assert isinstance(found, tuple)
            module, name = found
            source = _read(module)
        place = module, name
        if place not in self.names:
            self.names[place] = self._free(module, name)
            self.texts[place] = self._text(place, source)
        return self.names[place]

    @property
    def imported(self) -> set[str]:
        """The names that are imported."""
        return {name for line in self.imports for name in line.replace(",", "").split()[1:]}

    def name(self, definition: object) -> str:
        """The name in the script of a definition that was added."""
        return self.names[_place(definition)]

    def _free(self, module: str, name: str) -> str:
        taken = {*self.names.values()}
        return f"{name}_of_{module.rpartition('.')[2]}" if name in taken else name

    def _text(self, place: Place, source: _Source) -> str:
        module, name = place
        node = source.definitions[name]
        omitted = [*_omitted(node, self.unused)]
        changed: dict[tuple[int, int], tuple[int, str]] = {}
        for known, used in _names(node, omitted):
            if known in source.definitions:
                found = self.names[place] if known == name else self.add_named((module, known))
            elif known in source.imports:
                found = self._imported(known, source.imports[known])
            else:
                continue
            if found != known or isinstance(used, ast.Constant):
                assert used.end_col_offset is not None
                width = used.end_col_offset - used.col_offset
                changed[used.lineno, used.col_offset] = width, found
        lines = list(source.lines)
        for (line, column), (width, found) in sorted(changed.items(), reverse=True):
            content = lines[line - 1].encode()  # columns count bytes
            renamed = content[:column] + found.encode() + content[column + width :]
            lines[line - 1] = renamed.decode()
        if self.names[place] != name:
            first = lines[node.lineno - 1]
            lines[node.lineno - 1] = first.replace(name, self.names[place], 1)
        assert node.end_lineno is not None
        skipped = {number for start, end in omitted for number in range(start, end + 1)}
        kept = range(_first_line(node), node.end_lineno + 1)
        return "\n".join(lines[i - 1] for i in kept if i not in skipped).rstrip()

    def _imported(self, name: str, found: str | Place) -> str:
        if isinstance(found, tuple) and found[0].startswith(f"{PACKAGE}."):
            return self.add_named(found)
        self.imports.add(import_line(name, found))
        return name


def import_line(name: str, found: str | Place) -> str:
    """The statement that imports what a module calls `name`."""
    if isinstance(found, tuple):
        module, original = found
        return f"from {module} import {original}" + f" as {name}" * (name != original)
    return f"import {found}" + f" as {name}" * (name != found)


def own_name(module: str, name: str) -> str:
    """The name in a script of a function of the user's: unique, as others may have its name."""
    return f"{module.replace('.', '__')}__{name}"


def _place(definition: object) -> Place:
    module, name = getattr(definition, "__module__", None), getattr(definition, "__name__", None)
    assert isinstance(module, str)
    assert isinstance(name, str)
    return module, name


@cache
def _read(module: str) -> _Source:
    found: ModuleType = sys.modules.get(module) or import_module(module)
    text = getsource(found)
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, str | Place] = {}
    body = ast.parse(text).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                definitions[name] = node
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                definitions[name] = node
                match following:
                    case ast.Expr(value=ast.Constant(value=str())):  # its docstring
                        node.end_lineno = following.end_lineno
            case ast.Import():
                imports |= {each.asname or each.name: each.name for each in node.names}
            case ast.ImportFrom(module=str(origin)):
                imports |= {each.asname or each.name: (origin, each.name) for each in node.names}
    return _Source(tuple(text.splitlines()), definitions, imports)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _omitted(node: ast.stmt, unused: frozenset[str]) -> Iterator[tuple[int, int]]:
    """The lines of decorators that only register, and of methods that no script calls."""
    for decorator in getattr(node, "decorator_list", ()):
        match decorator:
            case ast.Call(func=ast.Name(id=name)) if name in REGISTERING:
                assert decorator.end_lineno is not None
                yield decorator.lineno, decorator.end_lineno
    for each in getattr(node, "body", ()):
        if isinstance(each, ast.FunctionDef) and each.name in unused:
            assert each.end_lineno is not None
            yield _first_line(each) - 1, each.end_lineno  # with the blank line before it


def _names(
    node: ast.stmt, omitted: Iterable[tuple[int, int]]
) -> Iterator[tuple[str, ast.Name | ast.Constant]]:
    """The names that a definition uses in the lines that are kept; in a script none is quoted."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and not _is_in(part, omitted):
            yield part.id, part
        for field_name in ("annotation", "returns"):
            match getattr(part, field_name, None):
                case ast.Constant(value=str(name)) as quoted if name.isidentifier():
                    yield name, quoted


def _is_in(part: ast.Name, lines: Iterable[tuple[int, int]]) -> bool:
    return any(start <= part.lineno <= end for start, end in lines)
