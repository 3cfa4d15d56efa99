"""The text of a spec that compiled, with the files that it uses and overrides in it."""

from collections.abc import Sequence

from ktgdsl.compiler import Compiled
from ktgdsl.lowering.written_specs import in_one_file
from ktgdsl.syntax.format import format_file


def flattened(compiled: Compiled, settings: Sequence[str]) -> str:
    """A spec that compiled as one file: its own text, or with all used files and overrides in it.

    `settings` are those that it was compiled with.
    """
    tree, paths = compiled.tree, compiled.paths
    if not settings and paths is None:
        return next(iter(compiled.sources.values())).text
    assert tree is not None
    comments = "".join(f"# --set {setting}\n" for setting in settings)
    whole = tree if paths is None else in_one_file(tree, paths)
    return f"{comments}\n{format_file(whole)}"
