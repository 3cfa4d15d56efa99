"""What is logged of searches: a run for each trial and check, with its end, once over a resume."""

import csv
from pathlib import Path

import ktgdsl
from ktgdsl.files import sealed_json
from ktgdsl.plan.model import Plan
from ktgdsl.searching.events import (
    CheckDone,
    CheckReported,
    CheckStarted,
    EarlierTrial,
    SearchStarted,
    TrialEnded,
    TrialReported,
    TrialStarted,
)
from ktgdsl.tracking.log import Log, log_to

SPACE = (
    "graph g { node a = resnet8 | resnet14 target a edge label -> a } "
    "train { epochs = 2 } search { trials = 2 objective = accuracy(a) }"
)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return [*csv.DictReader(file)]


def start(log: Log, space: Plan, folder: Path, earlier: tuple[EarlierTrial, ...] = ()) -> None:
    log(SearchStarted(space, folder, 1, (1, 2), 2, 2, earlier))


def report(log: Log, trial: int, epoch: int, *, pruned: bool = False) -> None:
    value = 50.0 + 10 * trial + epoch
    log(TrialReported(trial, epoch, value, pruned, {"loss/a": 1 / epoch}))


def test_trials_and_checks_are_logged_once_over_a_resume(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "space.ktg").write_text(SPACE)
    content = {"device": "cpu", "versions": {"ktgdsl": "1", "torch": "2"}}
    (folder / "environment.json").write_text(sealed_json(content))
    space = ktgdsl.loads(SPACE)
    drawn = {"node.a": "resnet8"}
    plan = ktgdsl.loads(SPACE.replace("resnet8 | resnet14", "resnet8"))
    killed = log_to("csv")  # which never hears of an end
    start(killed, space, folder)
    killed(TrialStarted(0, drawn, plan))
    report(killed, 0, 1)
    report(killed, 0, 2)
    with log_to("csv") as log:
        # What was said of epoch 2 was not in the journal when the search was killed.
        start(log, space, folder, (EarlierTrial("running", {1: 51.0}),))
        log(TrialStarted(0, drawn, plan, epoch=1))
        report(log, 0, 2)
        log(TrialEnded(0, "complete", 2, 52.0))
        log(TrialStarted(1, drawn, plan))
        report(log, 1, 1, pruned=True)
        log(TrialEnded(1, "pruned", 1, 61.0))
        log(CheckStarted("all gates through", 7, 0, 1))
        log(CheckReported("all gates through", 7, 1, 40.0, {"loss/a": 2.0}))
        log(CheckDone("all gates through", 7, 1, 1, 40.0))
    names = sorted(path.name for path in (folder / "csv").iterdir())
    assert names == ["check-all-gates-through-7.csv", "trial-0.csv", "trial-1.csv"]
    first = table(folder / "csv/trial-0.csv")
    assert [(row["epoch"], float(row["value"])) for row in first] == [("1", 51), ("2", 52)]
    assert float(first[1]["loss/a"]) == 0.5
    assert [row["value"] for row in table(folder / "csv/trial-1.csv")] == ["61"]
    (check,) = table(folder / "csv" / names[0])
    assert (check["epoch"], check["value"], check["loss/a"]) == ("1", "40", "2")
