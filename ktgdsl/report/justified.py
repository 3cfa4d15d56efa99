"""Tables of plain text: words left-justified, numbers right-justified."""

from collections.abc import Collection, Sequence


def justified(rows: Sequence[Sequence[str]], left: Collection[str]) -> list[str]:
    """Rows as lines, the headings first; columns with a heading in `left` are to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" if heading in left else f"{cell:>{width}}"
            for heading, cell, width in zip(rows[0], row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
