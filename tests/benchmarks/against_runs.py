"""A search against as many calls of `ktgc run`: `python -m tests.benchmarks.against_runs`.

The same graphs for the same epochs on the same samples: the trials of a search without a
pruner, by one worker, and the baselines that judge its result.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from ktgdsl.plan.model import Plan
from ktgdsl.searching.checks import baselines, leaders
from ktgdsl.searching.study.study import Study
from ktgdsl.searching.study.trial_plans import trial_plan
from ktgdsl.space.unparse_plan import unparse_plan
from tests.benchmarks.coordinator import space
from tests.benchmarks.output import options, show

PROGRAM = [sys.executable, "-m", "ktgdsl"]


def seconds(*arguments: str) -> float:
    """The wall time of a command."""
    began = time.perf_counter()
    subprocess.run([*PROGRAM, *arguments, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def trained(folder: Path) -> list[Plan]:
    """What a search has trained, baselines included."""
    trials = Study(folder / "study.journal", "space").trials
    plan = space(len(trials), "random")
    plans = [trial_plan(plan, trial.params) for trial in trials]
    return [*filter(None, plans), *baselines(plan, leaders(trials)[0]).values()]


def measured(trials: int, epochs: int, folder: Path) -> dict[str, str | int | float]:
    """A search, and then its graphs one by one."""
    text = Path("specs/space.ktg").read_text().replace("asha(min=1, reduction=2)", "none")
    (folder / "space.ktg").write_text(
        text.replace("trials    = 60", f"trials = {trials}  epochs = {epochs}")
    )
    out = folder / "found"
    search = seconds("search", str(folder / "space.ktg"), "--out", str(out), "--workers", "1")
    runs = 0.0
    plans = trained(out)
    for number, plan in enumerate(plans):
        spec = folder / f"{number}.ktg"
        spec.write_text(unparse_plan(plan, folder, []))
        more = ["--epochs", str(epochs), "--out", str(folder / f"run-{number}")]
        runs += seconds("run", str(spec), "--set", "data.holdout=true", *more)
    return {
        "trainings": len(plans),
        "epochs each": epochs,
        "search s": search,
        "runs s": runs,
        "runs / search": runs / search,
    }


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    rows = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measured(given.trials, given.epochs, Path(folder)))
    ratio = median(float(row["runs / search"]) for row in rows)
    show(rows, f"specs/space.ktg without a pruner; median ratio {ratio:.2f}", given.json)


if __name__ == "__main__":
    main()
