"""Logs a run: the training with each of its seeds, from the events that it reports."""

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from ktgdsl.plan.model import Plan
from ktgdsl.tracking.facts import kept_text, parameters, picture_of, tags
from ktgdsl.tracking.logged_run import Group, LoggedRun, Row
from ktgdsl.tracking.tracker import Tracker
from ktgdsl.training.epoch_values import epoch_values, recorded_values
from ktgdsl.training.events import (
    EpochDone,
    Event,
    PretrainDone,
    PretrainStarted,
    RepeatStarted,
    RunFinished,
)
from ktgdsl.training.result import HeadResult, NodeResult, RunResult, Score
from ktgdsl.training.run_folder import RunFolder


class RunLog:
    """Takes the events of one run after `RunStarted`.

    A seed begins with its first epoch: a run that fails before leaves nothing behind. Rows from
    before a resume are read from `metrics.jsonl`, so a tool that lacks some gets them.
    """

    def __init__(self, tracker: Tracker, plan: Plan, folder: Path) -> None:
        self._tracker, self._plan, self._folder = tracker, plan, folder
        self._seed, self._repeat, self._resumed = plan.train.seed, 1, 0
        self._pretraining = False

    def __call__(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case RepeatStarted():
                self._repeat, self._seed, self._resumed = event.repeat, event.seed, event.epoch
            case PretrainStarted():
                self._pretraining = True
            case PretrainDone():
                self._pretraining = False
            case EpochDone() if not self._pretraining:
                self._begin(self._repeat, self._seed, self._resumed)
                row = Row(event.epoch, epoch_values(event), event.phase)
                self._tracker.log(_key(self._seed), row)
            case RunFinished():
                self._finish(event.result)
            case _:
                pass

    def _finish(self, result: RunResult) -> None:
        for number, seed in enumerate(result.seeds):
            self._begin(number + 1, seed, result.epochs)
            self._tracker.end(_key(seed), "finished", _reached(result, number))
        self._tracker.end_all("finished", _over_seeds(result))

    def _begin(self, repeat: int, seed: int, done: int) -> None:
        """Begin a seed, if it has not begun, with the rows of the epochs that are done."""
        if _key(seed) not in self._tracker:
            rows = recorded_rows(self._plan, self._folder, repeat) if done else ()
            known = [row for row in rows if row.epoch <= done]
            self._tracker.begin(self._logged(seed, done), known)

    def _logged(self, seed: int, done: int) -> LoggedRun:
        plan, folder = self._plan, self._folder
        name, split = plan.graph.name, "validation" if plan.data.holdout else "test"
        text, about, facts = kept_text(folder, "spec.ktg"), tags(plan, folder), parameters(plan)
        group = None
        if plan.train.repeats > 1:
            group = Group(folder.resolve().name, folder, text, facts, about)
            name = f"{name}, seed {seed}"
        return LoggedRun(
            key=_key(seed),
            name=name,
            folder=folder,
            epoch=done,
            text=text,
            parameters={**facts, "train.seed": str(seed)},
            tags=about,
            goal=f"{split}_accuracy/{plan.graph.targets[0]}",
            phases=tuple(phase.name for phase in plan.phases),
            group=group,
            rebuilt=True,
            picture=picture_of(plan),
        )


def _key(seed: int) -> str:
    return f"seed-{seed}"


def recorded_rows(plan: Plan, folder: Path, repeat: int) -> Iterator[Row]:
    """The rows of a repeat in `metrics.jsonl`."""
    path = RunFolder(folder).metrics
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    entries = (entry for entry in map(json.loads, lines) if entry["repeat"] == repeat)
    for epoch, group in groupby(entries, lambda entry: entry["epoch"]):
        of_epoch = list(group)
        yield Row(epoch, recorded_values(plan, of_epoch), of_epoch[0].get("phase"))


def _reached(result: RunResult, number: int) -> dict[str, float]:
    """The final scores of the networks of a repeat, in percent."""
    values = {f"final_{field}/{node}": score.runs[number] for node, field, score in _scores(result)}
    for name, node in result.nodes.items():
        if node.pretrained is not None:
            values[f"pretrained_accuracy/{name}"] = node.pretrained[number].accuracy
    return values


def _over_seeds(result: RunResult) -> dict[str, float]:
    """Means and deviations over the repeats."""
    values = {f"mean_{field}/{node}": score.mean for node, field, score in _scores(result)}
    for node, field, score in _scores(result):
        if score.std is not None:
            values[f"std_{field}/{node}"] = score.std
    return values


def _scores(result: RunResult) -> Iterator[tuple[str, str, Score]]:
    """The scores of nodes and their heads, each with its name and field."""
    for name, node in result.nodes.items():
        yield from _scores_of(name, node)
        for head, reached in (node.heads or {}).items():
            yield from _scores_of(f"{name}.{head}", reached)


def _scores_of(name: str, reached: NodeResult | HeadResult) -> Iterator[tuple[str, str, Score]]:
    validation = reached.validation_accuracy
    scores: Mapping[str, Score | None] = {
        "test_accuracy": reached.accuracy,
        "validation_accuracy": validation,
        **{f"test_{metric}": score for metric, score in (reached.metrics or {}).items()},
        **{f"validation_{m}": score for m, score in (reached.validation_metrics or {}).items()},
    }
    yield from ((name, field, score) for field, score in scores.items() if score is not None)
