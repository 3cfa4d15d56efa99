"""Offsets and positions: units of the encoding, ends of lines, places that there are not."""

import pytest

from ktgdsl.diagnostics.source import Span
from ktgdsl.editor.positions import Place, Positions

# Of a grinning face, a CJK sign, an e with a combining accent: characters and code units.
STRANGE = "a😀b\r\n漢字c\ne\u0301x\u2028y\fz\rend"


@pytest.mark.parametrize(
    ("encoding", "behind_face", "behind_cjk", "behind_accent"),
    [("utf-8", 5, 6, 3), ("utf-16", 3, 2, 2), ("utf-32", 2, 2, 2)],
)
def test_units(encoding: str, behind_face: int, behind_cjk: int, behind_accent: int) -> None:
    positions = Positions(STRANGE, encoding)
    for char, line, character in [
        ("b", 0, behind_face),
        ("c", 1, behind_cjk),
        ("x", 2, behind_accent),
        ("e", 2, 0),
    ]:
        offset = STRANGE.index(char)
        assert positions.place(offset) == Place(line, character)
        assert positions.offset(line, character) == offset


def test_only_line_feeds_and_carriage_returns_end_lines() -> None:
    positions = Positions(STRANGE)
    assert positions.place(STRANGE.index("z")) == Place(2, 6)
    assert positions.place(STRANGE.index("end")) == Place(3, 0)
    assert positions.place(len(STRANGE)) == Place(3, 3)


def test_within_the_end_of_a_line() -> None:
    positions = Positions("ab\r\nc")
    assert positions.place(3) == Place(0, 2)
    assert positions.range(Span("x", 0, 4)) == (Place(0, 0), Place(1, 0))


@pytest.mark.parametrize(
    ("line", "character", "offset"),
    [(0, 99, 2), (1, 2, 4), (1, 99, 5), (9, 0, 5), (0, 0, 0)],
)
def test_places_that_there_are_not(line: int, character: int, offset: int) -> None:
    """Beyond a line is its end, beyond the text its end, inside of a pair of units behind it."""
    assert Positions("ab\n😀x").offset(line, character) == offset


def test_every_offset_of_a_text_and_back() -> None:
    for encoding in ("utf-8", "utf-16", "utf-32"):
        positions = Positions(STRANGE, encoding)
        for offset in range(len(STRANGE) + 1):
            if STRANGE[offset - 1 : offset + 1] != "\r\n":
                assert positions.offset(*positions.place(offset)) == offset
