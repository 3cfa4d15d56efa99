"""A console of Rich that writes no control characters but its own."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ktgdsl.diagnostics.render import printable_lines


class SafeConsole(Console):
    """Shows the control characters of every text, wherever it came from, as escapes."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Like the base class, which calls this for each part of what is shown."""
        if isinstance(renderable, str):
            renderable = printable_lines(renderable)
        elif isinstance(renderable, Text) and not renderable.plain.isprintable():
            renderable = _safe(renderable)
        return super().render(renderable, options)


def _safe(text: Text) -> Text:
    """The same text and its styles, each control character as an escape."""
    safe = text.blank_copy()
    for piece in text.divide(range(1, len(text))):  # a piece for each character
        piece.plain = printable_lines(piece.plain)
        safe.append_text(piece)
    return safe
