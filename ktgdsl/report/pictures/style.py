"""Sizes and colours of a drawing, and the estimated width of text."""

from ktgdsl.report.pictures.diagram import Role

RADIUS = 46.0
GATE_SIZE = 11.0
SMALL_SIZE = 10.5
INK = "#222222"
GREY = "#777777"
WHITE = "#FFFFFF"

ROLE_COLOURS: dict[Role, tuple[str, str, str]] = {
    "target": ("#C8281E", "#8E1510", WHITE),
    "frozen": ("#CFE3F5", "#1F5FA8", INK),
    "auxiliary": (WHITE, INK, INK),
}
"""Fill, outline and text."""


def width_of(text: str, size: float) -> float:
    """The estimated width of text; no usual font is much wider."""
    return 0.58 * size * len(text)


def shortened(text: str, letters: int) -> str:
    """Text of at most so many letters, with an ellipsis where some are left out."""
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
