"""Flattens a compiled spec: one text that contains the files it uses and its overrides."""

from collections.abc import Sequence

from ktgdsl.compiler import Compiled
from ktgdsl.lowering.moved_specs import in_one_file
from ktgdsl.syntax.format import format_file


def flattened(compiled: Compiled, settings: Sequence[str]) -> str:
    """The text of a compiled spec as one file, without `use`.

    `settings` are the overrides that it was compiled with.
    """
    tree, paths = compiled.tree, compiled.paths
    if not settings and paths is None:
        return next(iter(compiled.sources.values())).text
    assert tree is not None
    comments = "".join(f"# --set {setting}\n" for setting in settings)
    whole = tree if paths is None else in_one_file(tree, paths)
    return f"{comments}\n{format_file(whole)}"
