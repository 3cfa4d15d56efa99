"""How a drawing looks: sizes, the colours of vertices, and the room that text takes."""

from ktgdsl.report.pictures.diagram import Role

RADIUS = 46.0
GATE = 11.0
SMALL = 10.5
INK = "#222222"
GREY = "#777777"
WHITE = "#FFFFFF"

ROLES: dict[Role, tuple[str, str, str]] = {
    "target": ("#C8281E", "#8E1510", WHITE),
    "frozen": ("#CFE3F5", "#1F5FA8", INK),
    "auxiliary": (WHITE, INK, INK),
}
"""Fill, outline and text."""


def width_of(text: str, size: float) -> float:
    """About how wide text is; no font that is likely to be there is much wider."""
    return 0.58 * size * len(text)


def cut(text: str, letters: int) -> str:
    """Text with no more letters than that."""
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
