"""Resolves arguments that refer to a node, to a tap inside one, or to a phase."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, get_args

from pydantic.fields import FieldInfo

from ktgdsl.lowering.values import INVALID, Scope, is_open
from ktgdsl.syntax.tree import All, CallExpression, Let, List, Reference, String, Value
from ktgdsl.vocabulary.call import BEFORE_RELU
from ktgdsl.vocabulary.refs import (
    Answer,
    Head,
    HeadRef,
    Layer,
    Node,
    NodeLayer,
    NodeRef,
    Phase,
    PhaseRef,
    Tap,
)
from ktgdsl.vocabulary.spelling import closest, there_are

_KINDS = {
    Node: "node",
    Answer: "answer",
    Layer: "layer",
    NodeLayer: "place",
    Phase: "phase",
    Head: "head",
}
_LISTS = {
    "node": "such as `[a, b]`",
    "layer": "such as `[stage1, stage2]`",
    "phase": "such as `[hints, distil]`",
    "head": "such as `[colour, shape]`",
}
_NEEDED = {
    "node": ("a node is needed here", "such as `a` or `p[0]`"),
    "answer": ("a node is needed here", "such as `a` or `p[0]`"),
    "layer": ("a layer is needed here", "such as `stage1`, which both networks have"),
    "place": ("a place inside of a node is needed here", "such as `a.stage2`"),
    "phase": ("a phase is needed here", "its name, as in `phase distil { ... }`"),
    "head": ("the name of a head is needed here", "such as `colour`"),
}


def referenced_kind(field: FieldInfo) -> str | None:
    """The kind of reference that a parameter takes: "node", "answer", "layer", "place", ...

    None for plain values. A list of those is written with "s" after it.
    """
    for kind, name in _KINDS.items():
        if _same(field, kind):
            return name
        if field.annotation == list[kind]:  # type: ignore[valid-type]
            return name + "s"
    return None


def _same(field: FieldInfo, kind: Any) -> bool:
    """Whether a field is of an annotated type; pydantic has taken the annotation apart."""
    base, *notes = get_args(kind)
    return bool(field.annotation == base) and all(note in field.metadata for note in notes)


class ReferenceResolver(Scope):
    """Resolves references in arguments.

    `node_check` complains about a reference to a node that there is not; without it, and
    without `phases`, the names of all phases, nobody looks.
    """

    def __init__(self, lets: Mapping[str, Let], unparsed: frozenset[str] = frozenset()) -> None:
        super().__init__(lets, unparsed)
        self.node_check: Callable[[Reference], object] | None = None
        self.phases: Collection[str] | None = None

    def reference(self, value: Value, kind: str) -> Any:
        """The reference in a value, or a list of references; INVALID after an error."""
        value = self.expand(value)
        if is_open(value):
            return INVALID
        if kind.endswith("s"):
            if not isinstance(value, List):
                message = "a list is needed here, even of one"
                self.complain("E301", message, value.span, _LISTS[kind[:-1]])
                return INVALID
            items = [self.reference(item, kind[:-1]) for item in value.items]
            return INVALID if INVALID in items else items
        found = getattr(self, f"_{kind}")(value)
        if found is None:
            message, fix = _NEEDED[kind]
            if isinstance(value, List):
                fix = "leave the brackets out"
            elif isinstance(value, String) and kind in ("node", "answer", "phase", "head"):
                fix = "leave the quotes out"
            self.complain("E301", message, value.span, fix)
            return INVALID
        return found

    def _node(self, value: Value) -> Any:
        """A NodeRef; None for what is none, INVALID where there is no such node."""
        if isinstance(value, CallExpression) and not value.arguments:
            value = Reference(span=value.span, name=value.name)
        if not isinstance(value, Reference) or value.tap is not None:
            return None
        index: Any = None
        if isinstance(value.index, All):
            index = "*"
        elif value.index is not None:
            index = self.plain(value.index)
            if isinstance(index, bool) or not isinstance(index, int):
                return INVALID if index is INVALID else None
        before = len(self.diagnostics)
        if self.node_check is not None:
            self.node_check(value)
        return NodeRef(value.name, index) if len(self.diagnostics) == before else INVALID

    def _answer(self, value: Value) -> Any:
        """A NodeRef, or the Tap of a head; whether there is such a head is not known here."""
        named = isinstance(value, Reference) and isinstance(value.tap, CallExpression)
        return self._place(value) if named else self._node(value)

    def _place(self, value: Value) -> Any:
        if not isinstance(value, Reference) or value.tap is None:
            return None
        node = self._node(replace(value, tap=None))
        path = written_path(self.expand(value.tap))
        if node is INVALID:
            return INVALID
        return Tap(path, node) if path and node is not None else None

    def _layer(self, value: Value) -> Any:
        path = written_path(value)
        return Tap(path) if path else None

    def _head(self, value: Value) -> Any:
        named = isinstance(value, CallExpression) and not value.arguments
        return HeadRef(value.name) if named and isinstance(value, CallExpression) else None

    def _phase(self, value: Value) -> Any:
        if not isinstance(value, CallExpression) or value.arguments:
            return None
        if self.phases is not None and value.name not in self.phases:
            guess = closest(value.name, list(self.phases))
            declared = f"`phase {value.name} {{ learn = [a] }}` declares it"
            fix = f"{declared}; {there_are(self.phases)}" if self.phases else declared
            message = f"there is no phase called `{value.name}`"
            self.unknown(
                value.name, message, value.span, f"did you mean `{guess}`?" if guess else fix
            )
            return INVALID
        return PhaseRef(value.name)


def written_path(value: Value) -> str | None:
    """The place that a value says: `stage2`, `stage2.pre` or a module's path; None if it is none.

    In a list or in parentheses `stage2.pre` has the form of a place inside of a node.
    """
    match value:
        case String():
            return value.value
        case CallExpression(arguments=()):
            return value.name
        case Reference(index=None, tap=CallExpression(name="pre", arguments=())):
            return f"{value.name}{BEFORE_RELU}"
    return None
