"""The elements of a page, as plain data that the template lays out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

MAX_ROWS = 30
"""Rows of a table that stand on the page as they are."""


@dataclass(frozen=True)
class Paragraph:
    """A sentence or more."""

    kind: ClassVar[str] = "paragraph"

    text: str


@dataclass(frozen=True)
class Notes:
    """Short remarks, each for itself."""

    kind: ClassVar[str] = "notes"

    lines: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of cells, of which the first is the head of its row. `numbers` are columns of numbers.

    `shares` are numbers from 0 to 1 by row and column: how strong the colour of the cell is or,
    where they are `bars`, how much of the cell has it. A `long` table scrolls in itself.
    """

    kind: ClassVar[str] = "table"

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    shares: Mapping[tuple[int, int], float] = field(default_factory=dict)
    bars: bool = False

    @property
    def long(self) -> bool:
        """Whether it is longer than a screen."""
        return len(self.rows) > MAX_ROWS


@dataclass(frozen=True)
class Figure:
    """A drawing as the text of an `<svg>`, which our own code has escaped.

    `numbers` has what it shows as a table. A `wide` one is not made as narrow as a phone.
    """

    kind: ClassVar[str] = "figure"

    svg: str
    title: str
    caption: str = ""
    numbers: Table | None = None
    wide: bool = False


@dataclass(frozen=True)
class Figures:
    """Figures beside one another, as many as there is room for."""

    kind: ClassVar[str] = "figures"

    figures: Sequence[Figure]


@dataclass(frozen=True)
class Code:
    """Lines of a file."""

    kind: ClassVar[str] = "code"

    name: str
    text: str


@dataclass(frozen=True)
class Folded:
    """Blocks that are seen when they are asked for, or, where `is_open`, until they are folded."""

    kind: ClassVar[str] = "folded"

    title: str
    blocks: Sequence["Block"]
    is_open: bool = False


Block = Paragraph | Notes | Table | Figure | Figures | Code | Folded


@dataclass(frozen=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Article:
    """A run or a search. `value` is what counts most of it, and `about` says what that is."""

    title: str
    subtitle: str
    value: str
    about: str
    sections: Sequence[Section]


@dataclass(frozen=True)
class Page:
    """Articles, after sections about all of them together where there are several."""

    title: str
    together: Sequence[Section]
    articles: Sequence[Article]
    version: str
