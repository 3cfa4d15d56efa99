"""Texts that are almost specs, and texts that are nothing of the kind, from a random generator."""

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.paths import TESTS

HERE = TESTS
ROOT = HERE.parent


def _examples(path: Path) -> list[str]:
    return re.findall(r"^```ktg\n(.*?)^```", path.read_text("utf-8"), re.M | re.S)


def _texts(pattern: str) -> list[str]:
    return [path.read_bytes().decode("utf-8", "replace") for path in sorted(ROOT.glob(pattern))]


GOOD = [
    *_texts("specs/**/*.ktg"),
    *_texts("tests/good/*.ktg"),
    *_examples(ROOT / "README.md"),
    *_examples(ROOT / "grammar" / "README.md"),
]
BAD = [*_texts("tests/bad/**/*.ktg"), *_texts("tests/format/*.ktg")]
SEEDS = [*GOOD, *BAD]
LINES = sorted({line for seed in SEEDS for line in seed.splitlines() if line.strip()})
_PIECE = re.compile(r'\s+|"[^"\n]*"|\w+|[^\w\s]')
WORDS = sorted({word for seed in SEEDS for word in _PIECE.findall(seed) if word.strip()})
VALUES = [
    "0", "1", "-1", "0.5", "7", "64", "300", "70000", "1e308", "1e-320", "1e400", "9" * 23, "0%",
    "50%", "100%", "250%", "true", "false", '""', '"x"', "[]", "[1]", "[[1]]", "a", "b", "label",
    "*", "1/0", "-1e308*1e308", "0/0", "(1|2)", "(0..3)", "(3..1)", "log(1e-3..1)", "log(0..1)",
    "x", "y", "T", "through", "cutoff", "linear", "correct", "kl", "ce", "accuracy(a)", "sgd",
    "adamw", "resnet8", "wrn10_1", "p[0]", "p[*]", "p[-1]", "p[1e9]", "a.stage1", 'a."x"',
    "a.(stage1|stage2)", "ema(a)", "copy(a)", "ensemble(a,b)", "constant(correct=1)",
    'python("m:f")', 'folder("x")', "during(p)", "until(60%)", "rampup(3)", "cosine(0,1)",
]  # fmt: skip
STRANGE = [
    "@", "'", '"', "\\", "%", "=>", "<-", "→", "é", "\x1b", "\0", "\r", "\ufeff", "\u202e",
    "\u2028", "\x0b", "\x85", "\ud800", "\udfff", "𝟙", "²", "٣", "ﬁ", "a\u0301", ".5", "1.",
    "64px", "//", "..", "1__0", "0x1", "...", "<->", "\t", "'''", '"\\', "#", ";", "\u3000",
]  # fmt: skip
BRACKETS = "(){}[]"
SIGNS = "abk(){}[]=,.|*/+-<>:\"'%#_ \n\r\t015eé\x00\u202e@;→"

Mutation = Callable[[Random, str], str]


def _pieces(change: Callable[[Random, list[str]], None]) -> Mutation:
    """A change of the list of words, signs and gaps of a text."""

    def mutation(random: Random, text: str) -> str:
        pieces = _PIECE.findall(text) or [""]
        change(random, pieces)
        return "".join(pieces)

    return mutation


def _lines(change: Callable[[Random, list[str]], None]) -> Mutation:
    """A change of the list of lines of a text."""

    def mutation(random: Random, text: str) -> str:
        lines = text.split("\n")
        change(random, lines)
        return "\n".join(lines)

    return mutation


def _leave_out(random: Random, parts: list[str]) -> None:
    start = random.randrange(len(parts))
    del parts[start : start + random.choice((1, 1, 1, 2, 5))]


def _double(random: Random, parts: list[str]) -> None:
    start = random.randrange(len(parts))
    part = parts[start : start + random.choice((1, 1, 2, 5, 20))]
    parts[start:start] = part * random.choice((1, 1, 1, 2, 30))


def _swap(random: Random, parts: list[str]) -> None:
    i, j = random.randrange(len(parts)), random.randrange(len(parts))
    parts[i], parts[j] = parts[j], parts[i]


def _foreign_line(random: Random, lines: list[str]) -> None:
    lines.insert(random.randrange(len(lines) + 1), random.choice(LINES))


def _insert(pool: list[str] | tuple[str, ...] | str) -> Callable[[Random, list[str]], None]:
    def change(random: Random, pieces: list[str]) -> None:
        pieces.insert(random.randrange(len(pieces) + 1), random.choice(pool))

    return change


def _replace(pool: list[str] | None) -> Callable[[Random, list[str]], None]:
    """A word becomes one of the pool, or another of the same text."""

    def change(random: Random, pieces: list[str]) -> None:
        words = [i for i, piece in enumerate(pieces) if piece.strip()]
        if words:
            pieces[random.choice(words)] = random.choice(pool or [pieces[i] for i in words])

    return change


def _number(random: Random, pieces: list[str]) -> None:
    """A number, or what follows an `=`, becomes another value."""
    values = [i for i, piece in enumerate(pieces) if piece.isdigit() or "=" in pieces[i - 2 : i]]
    if values:
        pieces[random.choice(values)] = random.choice(VALUES)


def _deep(random: Random, pieces: list[str]) -> None:
    i = random.randrange(len(pieces))
    depth = random.choice((3, 30, 63, 64, 65, 300, 3000))
    before, after = random.choice(
        [("(", ")"), ("[", "]"), ("f(", ")"), ("-", ""), ("1 + (", ")"), ("{", "}"), ("(", "")]
    )
    pieces[i] = before * depth + pieces[i] + after * depth


def _long(random: Random, pieces: list[str]) -> None:
    i = random.randrange(len(pieces))
    pieces[i] = pieces[i] * random.choice((10, 100, 1000))


def _bytes(random: Random, text: str) -> str:
    """Some bytes of the file are others; what is no UTF-8 becomes lone surrogates."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(random.choice((1, 1, 2, 8))):
        i = random.randrange(len(data) + 1)
        data[i : i + random.randrange(3)] = random.randbytes(random.randrange(3))
    return data.decode("utf-8", "surrogateescape")


def _endings(random: Random, text: str) -> str:
    return text.replace("\n", random.choice(("\r\n", "\r", "", " ", "\n\n", "\u2028")))


def _half(random: Random, text: str) -> str:
    """The beginning of the text, and the end of another."""
    other = random.choice(SEEDS)
    return text[: random.randrange(len(text) + 1)] + other[random.randrange(len(other) + 1) :]


MUTATIONS: list[Mutation] = [
    *map(_pieces, (_leave_out, _double, _swap, _deep, _long, _number, _number, _number)),
    *map(_pieces, (_insert(WORDS), _insert(STRANGE), _insert(BRACKETS), _insert(VALUES))),
    *map(_pieces, (_replace(None), _replace(None), _replace(WORDS), _replace(STRANGE))),
    *map(_lines, (_leave_out, _double, _swap, _foreign_line, _foreign_line)),
    _bytes,
    _endings,
    _half,
]


def mutated(random: Random) -> str:
    """A spec with a few changes."""
    text = random.choice(GOOD if random.random() < 0.75 else BAD)
    for _ in range(random.choice((1, 1, 1, 1, 2, 4))):
        text = random.choice(MUTATIONS)(random, text)
    return text


def random_text(random: Random) -> str:
    """Bytes, characters, words or statements in no order."""
    size = random.choice((0, 1, 5, 30, 200))
    match random.randrange(5):
        case 0:
            return random.randbytes(size).decode("utf-8", "surrogateescape")
        case 1:
            return "".join(chr(random.randrange(0x110000)) for _ in range(size))
        case 2:
            return "".join(random.choices(SIGNS, k=size))
        case 3:
            return " ".join(random.choices([*WORDS, *VALUES, *STRANGE, "\n"], k=size))
        case _:
            body, rest = random.choices(LINES, k=size // 4), random.choices(LINES, k=size // 10)
            return "\n".join(["graph g {", *body, "}", *rest])
