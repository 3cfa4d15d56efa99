"""Tables of cells as Markdown, LaTeX and CSV."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

Cells = Sequence[Sequence[str]]
"""Rows of cells, the headings first."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "±": r"$\pm$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def markdown_table(cells: Cells, left: Sequence[str]) -> list[str]:
    """Lines of a table; columns with a heading in `left` to the left, the others to the right."""
    head, *rows = [[markdown_text(cell) for cell in row] for row in cells]
    rule = ["---" if heading in left else "---:" for heading in cells[0]]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def markdown_text(text: str) -> str:
    """A text without what Markdown would read as a cell's end or as emphasis."""
    return text.replace("|", "\\|").replace("*", "\\*")


def latex_table(cells: Cells, left: Sequence[str]) -> list[str]:
    """Lines of a `tabular` with the rules of the package booktabs."""
    head, *rows = [[latex_text(cell) for cell in row] for row in cells]
    columns = "".join("l" if heading in left else "r" for heading in cells[0])
    return [
        f"\\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        f"{' & '.join(head)} \\\\",
        r"\midrule",
        *(f"{' & '.join(row)} \\\\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def latex_text(text: str) -> str:
    """A text whose special characters LaTeX prints; a minus before a number is one in print."""
    escaped = "".join(_SPECIAL.get(character, character) for character in text)
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", escaped)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same names as CSV, the names first."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
