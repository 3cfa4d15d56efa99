"""How long the text side takes: `python -m tests.benchmarks.text`.

Check, load and format of 1,000 and 10,000 lines, in CPU seconds, with the cost of a line of
the large text over that of the small one (1 is linear), and a cold `ktgc check` against the
imports that any front end of this kind begins with. Medians.
"""

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

import ktgdsl
from ktgdsl.diagnostics.source import Source
from ktgdsl.syntax.format import format_source

ROOT = Path(__file__).parents[2]
NODES = 150
LINES = (1_000, 10_000)
TIMES = 5
STARTS = 10
IMPORTS = ("-c", "import lark; from pydantic import BaseModel")
CHECK = ("-m", "ktgdsl", "check", "specs/dml3.ktg")


def spec(lines: int) -> str:
    """A spec of so many lines, nearly all of them edges of different pairs."""
    random = Random(0)
    pairs = [(a, b) for a in range(NODES) for b in range(NODES) if a != b]
    edges = [
        f"    edge n{a} -> n{b} : kl(T={random.randint(1, 8)}) via 0.5 * correct"
        for a, b in random.sample(pairs, lines - NODES - 4)
    ]
    nodes = [f"    node n{i} = resnet8" for i in range(NODES)]
    return "\n".join(["graph g {", *nodes, "    target n0", "    edge label -> *", *edges, "}", ""])


def seconds(work: Callable[[], object]) -> float:
    """The CPU seconds that work takes."""
    taken = []
    for _ in range(TIMES):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return median(taken)


def start(arguments: tuple[str, ...]) -> float:
    """The CPU seconds of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(f"Python {platform.python_version()}, {machine}; CPU seconds, medians of {TIMES}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.ktg"
        taken: dict[str, list[float]] = {"check": [], "load": [], "fmt": []}
        for lines in LINES:
            text = spec(lines)
            path.write_text(text, encoding="utf-8")
            untidy = Source("spec.ktg", text.replace("    ", "\t").replace(" = ", "="))
            taken["check"].append(seconds(lambda: ktgdsl.check(path)))
            taken["load"].append(seconds(lambda: ktgdsl.load(path)))
            taken["fmt"].append(seconds(partial(format_source, untidy)))
    few, many = LINES
    for verb, (small, large) in taken.items():
        ratio = large / many / (small / few)
        print(
            f"{verb:<6} {few:,} lines {small:.3f}  {many:,} lines {large:.3f}  "
            f"per 1,000 lines {1000 * large / many:.3f}  ratio {ratio:.2f}"
        )
    pairs = [(start(IMPORTS), start(CHECK)) for _ in range(STARTS + 1)][1:]  # the first is cold
    imports, check = (median(each) for each in zip(*pairs, strict=True))
    print(
        f"cold   imports {imports:.3f}  check {check:.3f}  ratio {check / imports:.2f} (n={STARTS})"
    )


if __name__ == "__main__":
    main()
