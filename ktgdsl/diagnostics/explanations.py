"""Explanations of names, read from Markdown files that ship with the package.

A file has a title and a section for each name:

    # Title

    ## NAME

    Paragraphs.

    A caption:

    ```ktg
    graph ...
    ```

Codes of diagnostics have a file for each family (`codes/E2.md` for E201 and so on).
"""

import re
from importlib.resources import files
from typing import NamedTuple

from ktgdsl.diagnostics.diagnostic import CODES

FAMILIES = tuple(dict.fromkeys(code[:2] for code in CODES))
"""The prefixes of codes, such as E2; codes of a family are about one subject."""


class Example(NamedTuple):
    """A spec or a command line, without its last line end, and the words that introduce it."""

    caption: str
    text: str


class Explanation(NamedTuple):
    """The meaning of a name: paragraphs with blank lines between them, and examples."""

    text: str
    examples: tuple[Example, ...] = ()


class Explanations(NamedTuple):
    """A file: its title, and its explanations by name in the order of the file."""

    title: str
    by_name: dict[str, Explanation]


def code_explanations(family: str) -> Explanations:
    """The explanations of all codes of a family; the title is such as "E2: names"."""
    return read_explanations("ktgdsl.diagnostics", f"codes/{family}.md")


def subject(family: str) -> str:
    """The subject of a family of codes, such as "names"."""
    return code_explanations(family).title.removeprefix(f"{family}: ")


def read_explanations(package: str, path: str) -> Explanations:
    """The explanations in a file of a package. Raises ValueError where it has another form."""
    return parse_explanations(files(package).joinpath(path).read_text("utf-8"))


def parse_explanations(markdown: str) -> Explanations:
    """The explanations in a text. Raises ValueError where it has another form."""
    head, *sections = re.split(r"^## ", markdown, flags=re.MULTILINE)
    title = re.fullmatch(r"# (.+)\n+", head)
    if title is None:
        raise ValueError(f"a line `# Title` is needed, then sections, not {head!r}")
    by_name: dict[str, Explanation] = {}
    for section in sections:
        name, _, body = section.partition("\n")
        if name in by_name:
            raise ValueError(f"there are two sections `{name}`")
        by_name[name] = _explanation(name, body)
    return Explanations(title[1], by_name)


_EXAMPLE = re.compile(r"^([^\n]+:)\n\n```(?:ktg|sh)\n(.+?)\n```\n", re.MULTILINE | re.DOTALL)


def _explanation(name: str, body: str) -> Explanation:
    """Paragraphs, then any number of captions with a code block each, and nothing after them."""
    text, *captions_and_blocks = _EXAMPLE.split(body)
    captions, blocks = captions_and_blocks[::3], captions_and_blocks[1::3]
    between = "".join(captions_and_blocks[2::3])
    if not text.strip() or between.strip() or "```" in text:
        raise ValueError(f"section `{name}` needs a text, then captions with a code block each")
    return Explanation(text.strip(), tuple(map(Example, captions, blocks)))
