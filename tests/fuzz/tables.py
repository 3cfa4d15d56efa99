"""`table.toml` with changes, and what `ktgc table --dry-run` makes of it."""

import tempfile
from functools import cache
from pathlib import Path
from random import Random

from ktgdsl.errors import KtgError
from ktgdsl.report.table import TableReport
from ktgdsl.report.table_formats import render
from ktgdsl.tables.model import FILE, read_table
from ktgdsl.tables.status import Rerun
from tests.fuzz.json_texts import damaged
from tests.mutate import VALUES
from tests.paths import SPECS
from tests.written_runs import SPEC, write_run

TABLES = [path.read_text("utf-8") for path in sorted(SPECS.glob("**/table.toml"))]
SMALL = """\
title = "t"
published_runs = 3
rows = [
    { label = "a", published = [7.1, 0.2], spec = "a.ktg", nodes = 2, set = ["train.epochs=2"] },
    { label = "b", space = "s.ktg", searched_on = "digits", data = "digits" },
    { label = "c", run = "run" },
    { label = "d", published = [80] },
]
[data.digits]
set = ["data.batch=32"]
spec = ["train.seed=1"]
space = ["search.trials=3"]
"""
_WORDS = (
    "[]", "[[]]", "[[[1]]]", "{}", '""', '"\\u202e"', '"../../../x"', '"/etc/passwd"', "nan", "inf",
    "-inf", "1e400", "2026-11-28", "'''", "0x1f", "[data.digits]", "[[rows]]", "rows", "label",
    "a.b.c = 1", "= ", "[" * 500, '"run"', '"train.epochs=0"', '"data=cifar10"', '"let.x=1"',
)  # fmt: skip


@cache
def _folder() -> Path:
    top = Path(tempfile.mkdtemp(prefix="ktgdsl-fuzz-"))
    write_run(top / "run", {"a": [80.0, 81.0], "b": [70.0, 71.0]})
    (top / "a.ktg").write_text(SPEC)
    (top / "s.ktg").write_text(SPEC.replace("edge b -> a", "edge b -> a : kl(T=1 | 2)"))
    return top


def text(random: Random) -> str:
    """A table of ours or a small one, with a few changes."""
    text = random.choice(TABLES) if random.random() < 0.2 else SMALL
    for _ in range(random.choice((1, 1, 2, 3))):
        if random.random() < 0.4:
            text = damaged(random, text)
        else:
            parts = text.split(" ")
            parts[random.randrange(len(parts))] = random.choice((*_WORDS, *VALUES, *parts))
            text = " ".join(parts)
    return text


def judge(text: str) -> bool:
    """Read a table, and say what there is of its rows. Whether it is a table."""
    folder = _folder()
    (folder / FILE).write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        table = read_table(folder)
    except KtgError as error:
        return not str(error)
    rerun = Rerun(table, folder, folder / "out", [], None)
    report = TableReport(table, [rerun.status(row) for row in table.rows[:20]], True, None)
    for style in ("text", "json", "latex"):
        render(report, style)
    return True
