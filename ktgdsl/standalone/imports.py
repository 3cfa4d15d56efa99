"""The import lines of a script, in the order that linters expect."""

import sys
from collections.abc import Iterable

WIDTH = 88
"""Characters of a line from which on names stand one to a line: the default of linters."""


def import_block(lines: Iterable[str], own: Iterable[str] = ()) -> str:
    """Statements `import x` and `from x import y`, merged and sorted, in a block each:

    those of the future, of the standard library, and of others, then the user's `own`, a line each.
    """
    plain: set[str] = set()
    named: dict[str, set[str]] = {}
    for line in lines:
        if line.startswith("import "):
            plain.add(line)
        else:
            module, _, name = line.removeprefix("from ").partition(" import ")
            named.setdefault(module, set()).update(name.split(", "))
    blocks: dict[int, list[str]] = {0: [], 1: [], 2: [], 3: []}
    for line in sorted(plain):
        blocks[_kind(line.split()[1])].append(line)
    for module in sorted(named):
        blocks[_kind(module)].append(_from(module, sorted(named[module], key=_rank)))
    for line in sorted(own):
        module, _, name = line.removeprefix("from ").partition(" import ")
        blocks[3].append(_from(module, [name]))
    return "\n\n".join("\n".join(block) for block in blocks.values() if block)


def _kind(module: str) -> int:
    root = module.partition(".")[0]
    return 0 if root == "__future__" else 1 if root in sys.stdlib_module_names else 2


def _rank(name: str) -> tuple[int, str]:
    """Constants first, then classes, then others."""
    constant = len(name) > 1 and name.isupper()
    return (0 if constant else 1 if name[0].isupper() else 2), name


def _from(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])
