"""Shows the progress of a run or a search in a notebook: one output that is replaced as it goes."""

import time
from collections.abc import Callable
from io import StringIO
from typing import Any

from rich.console import Group, RenderableType
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from ktgdsl.report.formatting import Clock
from ktgdsl.report.run_display import lasting_lines, progress_view, result_view
from ktgdsl.report.run_progress import RunProgress
from ktgdsl.report.run_text import epoch_cells, plain_run_listener
from ktgdsl.report.safe_console import SafeConsole
from ktgdsl.report.search_display import search_view
from ktgdsl.report.search_progress import SearchProgress
from ktgdsl.report.search_text import plain_search_listener, search_result_text
from ktgdsl.searching import events as searching
from ktgdsl.training import events as training

WIDTH, HEIGHT = 100, 24
"""Columns of the output, and lines of that of a search."""

KEPT = 10
"""Lines about epochs above the table, the last ones."""

REDRAW = 0.5
"""Seconds between two drawings, at least."""

_THEME = TerminalTheme(
    (255, 255, 255),
    (0, 0, 0),
    [
        *((115, 115, 115), (200, 60, 50), (30, 140, 60), (160, 115, 0)),
        *((60, 120, 210), (165, 80, 170), (0, 135, 145), (140, 140, 140)),
    ],
)
"""Colours that can be read on white and on black, as the ground of a notebook may be.

What is dim is half-way between these two; other text has the colour of the notebook.
"""

_STYLE = "line-height: 1.3; font-family: monospace; white-space: pre; overflow-x: auto"


def progress() -> Callable[[Any], None]:
    """A listener that shows how a run or a search goes, for a notebook.

    ```python
    ktgdsl.run(plan, listener=ktgdsl.progress())
    ```

    In a notebook it is one output, replaced about twice a second; elsewhere lines are printed.
    """
    show = notebook_display()
    if show is not None:
        return NotebookProgress(show)
    of_run = plain_run_listener(_print)
    of_search = plain_search_listener(_print)

    def listen(event: Any) -> None:
        of_run(event)
        of_search(event)

    return listen


def notebook_display() -> Callable[[str], None] | None:
    """A function that shows HTML in the cell that runs, in place of what it showed before.

    None outside of a notebook.
    """
    import sys

    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import HTML, display

    if getattr(get_ipython(), "kernel", None) is None:
        return None
    handle: Any = None

    def show(text: str) -> None:
        nonlocal handle
        if handle is None:
            handle = display(HTML(text), display_id=True)
        else:
            handle.update(HTML(text))

    return show


class NotebookProgress:
    """Draws events as HTML, at most every `REDRAW` seconds but for the last one."""

    def __init__(self, show: Callable[[str], None], clock: Clock = time.monotonic) -> None:
        self._show, self._clock = show, clock
        self._drawn = float("-inf")
        self._lines: list[str] = []
        self._run: RunProgress | None = None
        self._search: SearchProgress | None = None

    def __call__(self, event: Any) -> None:
        """Take an event into account."""
        match event:
            case training.RunStarted():
                self._run, self._search = RunProgress(event, self._clock), None
                self._lines = [*event.notes, *event.chosen]
            case searching.SearchStarted():
                self._run, self._search = None, SearchProgress(event, self._clock)
                self._lines = [*event.notes]
            case training.RunFinished():
                self._draw(result_view(event.plan, event.result, event.already, WIDTH), last=True)
                self._run = None
            case searching.SearchFinished():
                text = search_result_text(event.plan, event.result, already=event.already)
                self._draw(Text(text), last=True)
                self._search = None
            case _ if self._run is not None:
                self._lines += lasting_lines(event, self._run)
                self._run(event)
                if isinstance(event, training.EpochDone):
                    self._lines.append("  ".join(epoch_cells(self._run, event)))
                self._draw(progress_view(self._run, WIDTH))
            case _ if self._search is not None:
                self._search(event)
                self._draw(search_view(self._search, WIDTH, HEIGHT))

    def _draw(self, view: RenderableType, *, last: bool = False) -> None:
        if not last and self._clock() - self._drawn < REDRAW:
            return
        self._drawn = self._clock()
        earlier = len(self._lines) - KEPT
        lines = [f"... and {earlier} lines before"] * (earlier > 0) + self._lines[-KEPT:]
        above = [Text("\n".join([*lines, ""]), style="dim")] if lines else []
        self._show(_html(Group(*above, view)))


def _html(view: RenderableType) -> str:
    """The terminal output of Rich as HTML, with all texts escaped."""
    # In a notebook Rich would show everything by itself, once more each time.
    console = SafeConsole(
        file=StringIO(), record=True, width=WIDTH, force_terminal=True, force_jupyter=False
    )
    console.print(view)
    return console.export_html(
        theme=_THEME,
        inline_styles=True,
        code_format=f'<pre class="ktgdsl" style="{_STYLE}">{{code}}</pre>',
    )


def _print(line: str) -> None:
    from ktgdsl.diagnostics.render import printable_lines

    print(printable_lines(line), flush=True)
