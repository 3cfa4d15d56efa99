"""Every link of every page leads somewhere, and long pages list their headings."""

import re
from pathlib import Path

import pytest

from tests.pages import BLOCK, pages
from tests.paths import ROOT

LISTED = ("README", "grammar/README", "specs/README", "specs/tutorial/README")
LINK = re.compile(r"""\]\(([^)\s]+)\)|src="([^"]+)\"""")


def text_of(page: Path) -> str:
    """A page without its blocks of code."""
    return BLOCK.sub("", page.read_text("utf-8"))


def anchor(heading: str) -> str:
    """How a link names a heading: its letters, digits, hyphens and underscores, in lower case."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def headings(page: Path, level: str = "#+") -> list[str]:
    return [anchor(text) for text in re.findall(rf"^{level} (.*)$", text_of(page), re.MULTILINE)]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_headings_and_files(page: Path) -> None:
    for link in ("".join(found) for found in LINK.findall(text_of(page))):
        if link.startswith(("https:", "http:")):
            continue
        file, _, heading = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not heading or heading in headings(target), link


@pytest.mark.parametrize("name", LISTED)
def test_contents_lists_are_whole(name: str) -> None:
    page = ROOT / f"{name}.md"
    before_the_first, _, _ = text_of(page).partition("\n## ")
    listed = [*dict.fromkeys(re.findall(r"\]\(#([^)]+)\)", before_the_first))]
    assert [each for each in headings(page, "##") if each in listed] == headings(page, "##")
    assert [each for each in listed if each in headings(page, "##")] == headings(page, "##")


def test_a_missing_heading_would_be_found() -> None:
    assert anchor("`result.json` of a run") == "resultjson-of-a-run"
    assert anchor("1 One network") in headings(ROOT / "specs" / "tutorial" / "README.md")
