"""Writes a page as HTML with Jinja, which escapes every text that is not our own drawing."""

from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING, Any

from ktgdsl.diagnostics.render import printable_lines
from ktgdsl.extras import missing
from ktgdsl.report.page.blocks import Page
from ktgdsl.report.page.figures import DARK

if TYPE_CHECKING:
    from jinja2 import Environment

TAB = 4


def require_jinja() -> None:
    """Raises RunError (E504) when Jinja, an extra, is not installed."""
    if find_spec("jinja2") is None:
        raise missing("a report", "report")


def html(page: Page) -> str:
    """The text of the page. Raises RunError (E504) without Jinja."""
    require_jinja()
    numbers = count(1)
    template = _environment().get_template("page.html")
    return template.render(page=page, dark=DARK, next_id=lambda: f"id{next(numbers)}")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> str:
    return (files("ktgdsl.report.page") / "templates" / name).read_text("utf-8")


def _shown(value: Any) -> Any:
    """A text with control characters as escapes; markup is left as it is."""
    return printable_lines(value.expandtabs(TAB)) if type(value) is str else value
