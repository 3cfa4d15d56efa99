"""The names of nodes, and which nodes a reference means."""

from ktgdsl.lowering.pydantic_errors import quoted
from ktgdsl.lowering.resolve import Resolver
from ktgdsl.lowering.values import INVALID
from ktgdsl.plan.model import LABEL
from ktgdsl.syntax.tree import All, Declared, Reference, Value
from ktgdsl.vocabulary.entry import as_whole_number
from ktgdsl.vocabulary.refs import NodeRef
from ktgdsl.vocabulary.spelling import closest, there_are

MAX_NODES = 256
SHOWN_NODES = 8
"""Nodes that a help text names."""


class Names:
    """The nodes that a graph declares, by their names; an array has several.

    `derived` are the names of nodes made from others, which `*` never means. `uncounted` are
    those of which it is not known how many nodes they have.
    """

    def __init__(self, resolver: Resolver) -> None:
        self.members: dict[str, list[str]] = {}
        self.arrays: set[str] = set()
        self.derived: set[str] = set()
        self.uncounted: set[str] = set()
        self._resolver = resolver
        self._count = 0

    def declare(self, declared: Declared, size: Value | None) -> list[str]:
        """The nodes of a name that is new, an array if it has a size; none after a complaint."""
        count = None if size is None else self._size(size) or 0
        return self.add(declared, count)

    def add(self, declared: Declared, count: int | None) -> list[str]:
        """The nodes of a name: `count` of an array, or one where that is None."""
        name = declared.name
        members = [name]
        if count is not None:
            self.arrays.add(name)
            members = [f"{name}[{index}]" for index in range(count)]
        before, self._count = self._count, self._count + len(members)
        if self._count > MAX_NODES:
            if before <= MAX_NODES:
                message = f"a graph has at most {MAX_NODES} nodes, and with these it has more"
                self._resolver.complain("E003", message, declared.span)
            members = []
        if not members:
            self.uncounted.add(name)
        self.members[name] = members
        return members

    def _size(self, written: Value) -> int | None:
        size = as_whole_number(self._resolver.plain(written))
        if isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= MAX_NODES:
            return size
        if size is not INVALID:
            message = f"the size of an array is 1 to {MAX_NODES}, not {quoted(size)}"
            self._resolver.complain("E302", message, written.span)
        return None

    def nodes(self, reference: Reference, *, labels: bool = False) -> list[str]:
        """The nodes that a reference means; none after a complaint.

        `labels` says that `label` could stand there, so that a misspelt one may mean it.
        """
        name = reference.name
        if name in ("*", LABEL) and reference.index is not None:
            self._resolver.complain("E302", f"`{name}` is not an array", reference.span)
            return []
        if name == "*":
            networks = (nodes for name, nodes in self.members.items() if name not in self.derived)
            return [member for members in networks for member in members]
        if name == LABEL:
            message = "the labels are not a node that learns, and cannot stand here"
            self._resolver.complain("E405", message, reference.span)
            return []
        if name not in self.members:
            guess = closest(name, [*self.members, *([LABEL] if labels else [])])
            fix = f"did you mean `{guess}`?" if guess else self._declared_by(name)
            message = f"there is no node called `{name}`"
            self._resolver.unknown(name, message, reference.span, fix)
            return []
        members = self.members[name]
        if reference.index is None:
            return members
        if name not in self.arrays:
            self._resolver.complain("E302", f"`{name}` is one node, not an array", reference.span)
            return []
        if isinstance(reference.index, All):
            return members
        return self._element(reference, reference.index, members)

    def _declared_by(self, name: str) -> str:
        """How a node would be declared that there is not, and which there are."""
        names = [*self.members]
        declared = f"`node {name} = resnet8` declares it"
        if not names:
            return declared
        more = len(names) - SHOWN_NODES
        known = there_are(names[:SHOWN_NODES]) + (f" and {more} more" if more > 0 else "")
        return f"{declared}; {known}"

    def _element(self, reference: Reference, written: Value, members: list[str]) -> list[str]:
        name = reference.name
        index = as_whole_number(self._resolver.plain(written))
        if name in self.uncounted or index is INVALID:
            return []
        if isinstance(index, bool) or not isinstance(index, int):
            message = f"a whole number picks a node of `{name}`, not {quoted(index)}"
            self._resolver.complain("E301", message, written.span)
            return []
        if not 0 <= index < len(members):
            more = f" to `{members[-1]}`" if len(members) > 1 else ""
            message = f"there is no `{name}[{index}]`"
            fix = f"`{name}` has `{members[0]}`{more}"
            self._resolver.complain("E302", message, reference.span, fix)
            return []
        return [members[index]]

    def referenced(self, reference: NodeRef) -> list[str]:
        """The nodes that a resolved argument refers to; none where there is no such element."""
        members = self.members.get(reference.name, [])
        if isinstance(reference.index, int) and reference.name in self.arrays:
            return members[reference.index : reference.index + 1] if reference.index >= 0 else []
        return members

    def is_pattern(self, reference: Reference) -> bool:
        """Whether a reference stands for whatever nodes there are rather than for one."""
        if reference.name == "*" or isinstance(reference.index, All):
            return True
        return reference.name in self.arrays and reference.index is None
