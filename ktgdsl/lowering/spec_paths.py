"""The folders that the paths in a spec are relative to, and those that they must stay in."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ktgdsl.diagnostics.source import Span
from ktgdsl.syntax.project import project_root


class SpecPaths(NamedTuple):
    """The folders that the paths of a spec, and of the files that it includes, are relative to.

    `folder` is that of the spec, or the one that it names by `use "../"`. `used` has the folders of
    included files by the path that spans have. Files have to lie inside `root`, by default the
    project that `folder` is part of; weights may also lie in the folders `named`.
    """

    folder: Path
    used: Mapping[str, Path] = MappingProxyType({})
    root: Path | None = None
    named: tuple[Path, ...] = ()

    def may_have_weights(self, base: Path) -> tuple[Path, ...]:
        """The folders that weights may lie in, where their paths begin at `base`."""
        return (self.root or project_root(base), *self.named)

    def base(self, span: Span) -> Path:
        """The folder that a path written at a place is relative to."""
        return self.used.get(span.path, self.folder)
