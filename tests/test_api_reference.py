"""`grammar/api.md` is what the docstrings say, and leaves no export out."""

import ktgdsl
from tests.api_reference import COMMAND, GROUPS, PAGE, page


def test_the_page_is_what_the_docstrings_say() -> None:
    assert PAGE.read_text("utf-8") == page(), f"run {COMMAND}"


def test_every_export_is_there_once() -> None:
    names = [name for group in GROUPS.values() for name in group]
    assert sorted(names) == sorted(ktgdsl.__all__)


def test_arguments_are_lists() -> None:
    assert "\n- `listener`: is called with the events" in page()
    assert "\n    -> RunResult" not in page()
