"""Files in the one layout: what would change, and the change, whole or not at all."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ktgdsl.compiler import Compiled
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.diagnostics.source import Source
from ktgdsl.files import write_whole
from ktgdsl.syntax.format import format_file, format_source
from ktgdsl.syntax.read import read


@dataclass(frozen=True)
class Formatted:
    """A file's text and its text in the one layout; none, and why, where there is none."""

    path: str
    source: Source | None
    text: str | None
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the layout is another."""
        return self.source is not None and self.text not in (None, self.source.text)

    def diff(self) -> str:
        """The change as a unified diff; "" where there is none."""
        if self.source is None or self.text is None:
            return ""
        before, after = (text.splitlines(keepends=True) for text in (self.source.text, self.text))
        return "".join(difflib.unified_diff(before, after, self.path, f"{self.path} (formatted)"))


def formatted(path: str) -> Formatted:
    """The file at `path`, or standard input for "-", in the one layout. Raises nothing."""
    source, diagnostics = read(path)
    if source is None:
        return Formatted(path, None, None, diagnostics)
    text, diagnostics = format_source(source)
    return Formatted(path, source, text, diagnostics)


def rewrite(path: str, text: str) -> Diagnostic | None:
    """Put `text` into the file at `path`: all of it, or the file stays as it is (E001)."""
    try:
        # A link stays one: it is the file behind it that is written.
        write_whole(Path(path).resolve(), text.encode())
    except OSError as error:
        message = f"`{path}` cannot be written: {error.strerror or error}"
        return Diagnostic("E001", message, help="the file is as it was", path=path)
    return None


def flattened(compiled: Compiled, settings: Sequence[str]) -> str:
    """The spec as it was run, in one file: its own text, or the tree with all that came to it."""
    if not settings and len(compiled.sources) == 1:
        return next(iter(compiled.sources.values())).text
    assert compiled.tree is not None
    told = "".join(f"# --set {setting}\n" for setting in settings)
    return f"{told}\n{format_file(compiled.tree)}"
