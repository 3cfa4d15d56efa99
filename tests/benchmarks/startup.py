"""How long it takes to begin: `python -m tests.benchmarks.startup [--quick]`.

Seconds of fresh processes that take turns, medians, with the quartiles; their byte code is there,
as it is from the second time on. `ratio` is of the first step of a run over `import torch`, which
is all that a run on the digits needs (of torchvision it needs nothing).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

from tests.benchmarks.output import Row, options, show

ROOT = Path(__file__).parents[2]
TORCH = "import torch"
STEP = "first step of run"
FIRST = """\
import os, sys
from ktgdsl.cli import main as cli
from ktgdsl.training.step import Stepper
take = Stepper.__call__
def once(*given):
    take(*given)
    os._exit(0)
Stepper.__call__ = once
cli.main(["run", "specs/dml3.ktg", "--quiet", "--out", sys.argv[1]])
"""


def commands(folder: str) -> dict[str, Sequence[str]]:
    """What is begun, by what it is called."""
    ktgc = (sys.executable, "-m", "ktgdsl")
    return {
        "python": (sys.executable, "-c", "pass"),
        "ktgc --help": (*ktgc, "--help"),
        "ktgc check": (*ktgc, "check", "specs/dml3.ktg"),
        TORCH: (sys.executable, "-c", TORCH),
        STEP: (sys.executable, "-c", FIRST, folder),
    }


def seconds(command: Sequence[str], byte_code: str) -> float:
    """How long the process of a command lives."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": byte_code}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def measure(rounds: int) -> list[Row]:
    """All commands in turns; the first round warms up."""
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds + 1):
            for name, command in commands(f"{folder}/run-{turn}").items():
                took = seconds(command, f"{folder}/byte-code")
                if turn:
                    taken.setdefault(name, []).append(took)
    return [_row(name, taken) for name in taken]


def _row(name: str, taken: Mapping[str, Sequence[float]]) -> Row:
    low, _, high = quantiles(taken[name], n=4, method="inclusive")
    ratio = median(taken[name]) / median(taken[TORCH])
    return {
        "what": name,
        "seconds": round(median(taken[name]), 3),
        "quartiles": f"{low:.3f} to {high:.3f}",
        "n": len(taken[name]),
        "ratio": round(ratio, 2) if name == STEP else "-",
    }


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds instead of twenty")
    given = parser.parse_args()
    rows = measure(2 if given.quick else 20)
    show(rows, "seconds, medians; fresh processes in turns", given.json)


if __name__ == "__main__":
    main()
