"""A search: a space in, the best graph out, and going on after a cut."""

import errno
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import optuna
import torch
from optuna.trial import FrozenTrial

from ktgdsl.errors import RunError
from ktgdsl.given import require_plan
from ktgdsl.language.diagnostic import Diagnostic
from ktgdsl.plan.model import Plan
from ktgdsl.plan.size import size
from ktgdsl.plan.space import at
from ktgdsl.searching.checks import (
    Check,
    baselines,
    confirmations,
    leaders,
    name_of,
    scores,
    seeds,
    unjudged,
)
from ktgdsl.searching.cores import cores, threads_each
from ktgdsl.searching.events import (
    Event,
    Listener,
    Past,
    SearchFinished,
    SearchStarted,
    TrialEnded,
    ignore,
)
from ktgdsl.searching.folder import STATES, SearchFolder, find
from ktgdsl.searching.ladder import rungs
from ktgdsl.searching.owner import Owner
from ktgdsl.searching.points import Picker, point
from ktgdsl.searching.pool import Pool
from ktgdsl.searching.result import Finalist, SearchResult
from ktgdsl.searching.study import DIGEST, GRAPH, SEED, Study, attribute, values_of
from ktgdsl.torch_backend.supported import require_searchable
from ktgdsl.training.checkpoint import writing
from ktgdsl.training.computing import choose
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.environment import describe, threads_of
from ktgdsl.training.folder import create
from ktgdsl.training.result import Score
from ktgdsl.training.step import choose_device

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What writing fails with on a disk that takes no more."""

TABLED = 30.0
"""Seconds between two writings of the table of trials while a search is under way, at least."""

SHARE = 0.01
"""Of the owner's time that writing this table may take: it takes longer the more trials."""


class Found(NamedTuple):
    """What a search gives: its Optuna study, the best graph as a plan, and the result."""

    study: optuna.Study
    best: Plan
    result: SearchResult


class SearchInterrupted(KeyboardInterrupt):
    """Ctrl-C during a search. Its text says what is kept, where, and how to go on."""

    def __init__(self, folder: Path, done: int, trials: int) -> None:
        self.folder, self.done, self.trials = folder, done, trials
        super().__init__(
            f"interrupted; {done} of {trials} trials are over and kept in {folder}, "
            f"go on with: ktgc search --resume {shlex.quote(str(folder))}"
        )


def search(
    plan: Plan,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    device: str | None = None,
    listener: Listener = ignore,
) -> Found:
    """Finds the best graph of a space and keeps everything in a folder.

    Args:
        plan: the space.
        out: the folder, new or empty; by default `runs/NAME`, or `runs/NAME-2` and so on.
        workers: how many trials are trained at a time; by default what the space says, else
            one for each GPU, or on a CPU one for two cores. Each computes with as many threads
            as OMP_NUM_THREADS says, else with its share of the cores.
        device: such as "cpu" or "cuda:1"; by default all GPUs that there are.
        listener: is told how it goes (`ktgdsl.searching.events`).

    Raises:
        RunError: when nothing is open (E506), something is not supported yet (E901), the
            folder cannot be used (E502), the device does not exist (E504), data are missing or
            damaged (E508), or no trial gave a value (E507). What was kept stays.
        SearchInterrupted: on Ctrl-C.
    """
    require_plan(plan, "search")
    require_searchable(plan)
    plan = complete(plan)
    devices = _devices(device)
    workers = workers or (plan.search and plan.search.workers) or _workers(devices)
    with threads_of({"threads": threads_each(workers)}):  # as a worker has them
        environment = {
            **describe(torch.device(devices[0]), (plan.train.seed,)),
            "computing": choose(plan, torch.device(devices[0])).told,
            "devices": devices,
            "workers": workers,
        }
    made = create(plan, None if out is None else Path(out), None, environment)
    folder = SearchFolder(made.path)
    assert plan.space is not None
    with made.held():
        folder.write_space(plan.space.text)
        with _going_on(folder):
            return _Search(plan, folder, listener).to_the_end()


def resume(
    folder: str | Path,
    *,
    workers: int | None = None,
    device: str | None = None,
    listener: Listener = ignore,
) -> Found:
    """Goes on with a search that was cut off, to the same number of trials.

    Workers and devices are those of the search unless they are given; the threads of each
    worker are in any case, as numbers depend on them. A finished search is left as it is and
    its result returned. Raises as `search` does.
    """
    here = find(Path(folder))
    with here.run.held():
        plan = here.run.plan()
        require_searchable(plan)
        environment = here.run.environment()
        if device is not None:
            environment["devices"] = _devices(device)
        if workers is not None:
            environment["workers"] = workers
        here.run.write_environment(environment)
        with _going_on(here):
            return _Search(plan, here, listener).to_the_end()


@contextmanager
def _going_on(folder: SearchFolder) -> Iterator[None]:
    """Lets an error about a disk that takes no more say how to go on once it does."""
    try:
        yield
    except RunError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in FULL:
            raise
        help = f"make room, then go on with: ktgc search --resume {shlex.quote(str(folder.path))}"
        raise RunError([replace(each, help=help) for each in error.diagnostics]) from error


def _devices(device: str | None) -> list[str]:
    if device is not None:
        return [str(choose_device(device))]
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]


def _workers(devices: list[str]) -> int:
    return max(1, cores() // 2) if devices == ["cpu"] else len(devices)


class _Search:
    """A search under way. What is done of it is in its folder."""

    def __init__(self, plan: Plan, folder: SearchFolder, listener: Listener) -> None:
        assert plan.search is not None
        self.plan, self.folder, self.listener = plan, folder, listener
        self.settings = plan.search
        self.study = Study(folder.journal, plan.graph.name)
        self._table_due = time.monotonic() + TABLED

    def to_the_end(self) -> Found:
        """Trains what is left, and judges it."""
        if (result := self.folder.result()) is not None:
            self.listener(SearchFinished(self.plan, result, already=True))
            return self._found(result)
        environment = self.folder.run.environment()
        devices = [str(each) for each in environment.get("devices", ["cpu"])]
        workers = int(environment.get("workers", 1))
        threads = environment.get("threads") or threads_each(workers)
        began = time.monotonic() - self.study.seconds
        self.listener(self._started(workers))
        picker = Picker(self.plan, size(self.plan).distinct)
        owner = Owner(self.plan, self.study, picker, self._listen, self._improved)
        try:
            with writing(self.folder.workers):
                pool = Pool(workers, devices, self.folder.workers, threads=threads)
            with pool:
                owner.trials(pool)
                finalists = leaders(self.study.trials)
                if not finalists:
                    raise self._nothing()
                owner.checks(pool, self._checks(finalists))
        except KeyboardInterrupt:
            done = sum(trial.state.is_finished() for trial in self.study.trials)
            raise SearchInterrupted(self.folder.path, done, self.settings.trials) from None
        finally:
            with suppress(RunError):  # the disk may be full, and the journal has it all
                self.study.note_seconds(time.monotonic() - began)
                self.folder.write_trials(self.study.trials, self.plan)
        result = self._result(finalists, time.monotonic() - began, owner.exhausted)
        self.folder.finish(result)
        self.listener(SearchFinished(self.plan, result))
        return self._found(result)

    def _started(self, workers: int) -> SearchStarted:
        settings = self.settings
        return SearchStarted(
            self.plan,
            self.folder.path,
            workers,
            rungs(settings),
            settings.epochs,
            settings.trials,
            [Past(STATES[trial.state], values_of(trial)) for trial in self.study.trials],
        )

    def _improved(self, trial: FrozenTrial) -> None:
        self.folder.write_graph("best.ktg", self.plan, trial)

    def _checks(self, finalists: list[FrozenTrial]) -> list[Check]:
        checks = [
            Check(name, plan, seed)
            for name, plan in baselines(self.plan, finalists[0]).items()
            for seed in seeds(self.plan)
        ]
        return [*confirmations(self.plan, finalists), *checks]

    def _nothing(self) -> RunError:
        reasons = [str(attribute(t, "reason")) for t in self.study.trials if attribute(t, "reason")]
        message = f"none of {len(self.study.trials)} trials gave a value, so there is no best graph"
        told = f"the last one: {reasons[-1]}" if reasons else None
        return RunError([Diagnostic("E507", message, help=told)])

    def _listen(self, event: Event) -> None:
        """Passes events on, and now and then writes the table of trials."""
        began = time.monotonic()
        if isinstance(event, TrialEnded) and began >= self._table_due:
            self.folder.write_trials(self.study.trials, self.plan)
            ended = time.monotonic()
            self._table_due = ended + max(TABLED, (ended - began) / SHARE)
        self.listener(event)

    def _result(
        self, finalists: list[FrozenTrial], seconds: float, exhausted: bool
    ) -> SearchResult:
        trials, noted = self.study.trials, self.study.checks
        names = [name_of(trial) for trial in finalists]
        against = list(baselines(self.plan, finalists[0]))
        confirmed = scores(noted, names)
        if confirmed:
            means = {name: score.mean for name, score in confirmed.items()}
            finalists = sorted(finalists, key=lambda trial: -means.get(name_of(trial), 0.0))
        told = []
        for place, trial in enumerate(finalists, start=1):
            spec = self.folder.write_graph(f"top/{place:02}.ktg", self.plan, trial)
            told.append(_finalist(trial, spec.relative_to(self.folder.path), confirmed))
        self.folder.write_graph("best.ktg", self.plan, finalists[0])
        states = [STATES[trial.state] for trial in trials]
        return SearchResult(
            folder=self.folder.path,
            target=self.settings.node,
            finalists=tuple(told),
            complete=STATES[finalists[0].state] == "complete",
            trials=len(trials),
            states={state: states.count(state) for state in sorted(set(states))},
            baselines=scores(noted, against),
            unjudged=unjudged(noted, [*names, *against]),
            validation_samples=self.plan.data.held_samples,
            epochs=self.settings.epochs,
            epochs_trained=sum(max(values_of(trial), default=0) for trial in trials),
            seconds=round(seconds, 3),
            exhausted=exhausted,
        )

    def _found(self, result: SearchResult) -> Found:
        trial = self.study.trials[result.best.trial]
        assert self.plan.space is not None
        best = at(self.plan, point(self.plan.space.draws, trial.params))
        assert best is not None
        return Found(self.study.optuna, best, result)


def _finalist(trial: FrozenTrial, spec: Path, confirmed: Mapping[str, Score]) -> Finalist:
    values = values_of(trial)
    epoch = max(values)
    return Finalist(
        trial=trial.number,
        value=values[epoch],
        epochs=epoch,
        seed=int(attribute(trial, SEED)),
        digest=str(attribute(trial, DIGEST)),
        canonical_digest=str(attribute(trial, GRAPH)),
        spec=spec.as_posix(),
        confirmed=confirmed.get(name_of(trial)),
    )
