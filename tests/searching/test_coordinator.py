"""The coordinator, with a simulated pool: trials are accounted for, and a cut changes nothing."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from ktgdsl.plan.model import Plan
from ktgdsl.searching.checks import (
    ALL_THROUGH,
    TARGET_ALONE,
    Check,
    baselines,
    confirmations,
    leaders,
    scores,
    unjudged,
)
from ktgdsl.searching.coordinator import Coordinator
from ktgdsl.searching.events import (
    CheckDone,
    CheckReported,
    Event,
    Exhausted,
    SearchWarning,
    TeacherReady,
    TrialEnded,
    TrialReported,
    WorkerLost,
)
from ktgdsl.searching.result import Teacher
from ktgdsl.searching.study.pruning import pruner_of
from ktgdsl.searching.study.sampling import DistinctSampler
from ktgdsl.searching.study.study import REASON, Study, attribute, values_of
from ktgdsl.searching.workers.protocol import (
    Diverged,
    Failed,
    Lost,
    Message,
    Noted,
    Pretrained,
    Report,
    Task,
)
from ktgdsl.training.events import PretrainDone
from tests.specs import sound

SPACE = """
let each gate = through | cutoff | linear | correct
graph g {{
    node a, b = resnet8
    target a
    edge label -> * via gate
    edge * -> * via gate
}}
train {{ epochs = 5 }}
search {{ trials = {trials} {more} }}
"""


def space(trials: int = 40, more: str = "") -> Plan:
    return sound(SPACE.format(trials=trials, more=more))


@cache
def plan_in(text: str) -> Plan:
    """The plan of tasks: the same text for each epoch, and often for each search of a test."""
    return Plan.from_json(text)


def value(task: Task, epoch: int) -> float:
    """What a graph is worth after an epoch: the same whenever it is asked."""
    seen = f"{plan_in(task.plan).digest} {task.seed} {epoch}"
    return int(hashlib.sha256(seen.encode()).hexdigest()[:4], 16) % 400 / 4


def cost_of(task: Task, node: str) -> float:
    """What a graph costs: the depth of a node's network."""
    depth = plan_in(task.plan).graph.node(node).network.arguments["depth"]
    assert isinstance(depth, int)
    return float(depth)


class Pretence:
    """A pool without processes: every worker reports in turn; `fate` may do otherwise."""

    def __init__(
        self, workers: int, fate: Callable[[Task, int], Message | None] | None = None
    ) -> None:
        self.workers = workers
        self._fate = fate
        self.under_way: dict[int, tuple[Task, int]] = {}
        self.ready: deque[int] = deque()

    def fate(self, task: Task, epoch: int) -> Message | None:
        return self._fate(task, epoch) if self._fate else None

    @property
    def free(self) -> int:
        return self.workers - len(self.under_way)

    def submit(self, task: Task) -> None:
        assert self.free > 0 or task.trial >= 1_000_000_000
        self.under_way[task.trial] = task, task.decided_epochs
        self.ready.append(task.trial)

    def decide(self, trial: int, keep: bool) -> None:
        task, epoch = self.under_way[trial]
        if not keep or epoch == plan_in(task.plan).train.epochs:
            del self.under_way[trial]
        else:
            self.ready.append(trial)

    def wait(self, timeout: float | None = None) -> list[Message]:
        assert timeout is None
        number = self.ready.popleft()
        task, epoch = self.under_way[number]
        told = self.fate(task, epoch + 1)
        if isinstance(told, Lost | Noted | Pretrained):
            self.ready.append(number)
            return [told]
        if told is not None:
            del self.under_way[number]
            return [told]
        last = epoch + 1 == plan_in(task.plan).train.epochs
        self.under_way[number] = task, epoch + 1
        reached = value(task, epoch + 1)
        if task.goals:  # larger networks are better, by and large
            reached = reached / 4 + 3 * cost_of(task, task.judged)
        values = tuple(-cost_of(task, e.node) if e.is_cost else reached for e in task.goals)
        return [Report(number, epoch + 1, reached, 1.0, last, values if last else ())]


def searched(path: Path, plan: Plan, pool: Any, events: list[Event] | None = None) -> Study:
    """A search by a fresh coordinator."""
    assert plan.search is not None
    study = Study(path, "g", DistinctSampler(plan), pruner_of(plan.search))
    told = [] if events is None else events
    coordinator = Coordinator(plan, study, told.append, improved=lambda _: None)
    coordinator.trials(pool)
    return study


def account(study: Study) -> list[tuple[Any, ...]]:
    """All that is known of the trials."""
    return [
        (t.number, t.state.name, t.params, values_of(t), t.value, dict(t.user_attrs))
        for t in study.trials
    ]


class AtOnce(Pretence):
    """The reports of all workers arrive together; counts how often that is."""

    rounds = 0

    def wait(self, timeout: float | None = None) -> list[Message]:
        self.rounds += 1
        one_by_one = [Pretence.wait(self, timeout) for _ in range(len(self.ready))]
        return [message for messages in one_by_one for message in messages]


def test_reports_that_arrive_together_wait_for_the_disk_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so do the trials that come next; all are accounted for, wherever the journal is cut."""
    plan, pool, writes = space(trials=12), AtOnce(4), Counter[str]()
    original = JournalFileBackend.append_logs

    def counted(self: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        writes["all"] += 1
        original(self, logs)

    monkeypatch.setattr(JournalFileBackend, "append_logs", counted)
    monkeypatch.setattr("ktgdsl.searching.coordinator.BATCH_SECONDS", 60.0)
    whole = account(searched(tmp_path / "whole", plan, pool))
    assert [number for number, *_ in whole] == list(range(12))
    assert pool.rounds < sum(len(values) for *_, values, _, _ in whole) / 2
    assert writes["all"] <= 2 * pool.rounds + 2  # the study and the first trials, once each
    journal = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    for entries in range(2, len(journal), 25):
        path = tmp_path / f"cut-{entries}"
        path.write_bytes(b"".join(journal[:entries]))
        again = account(searched(path, plan, AtOnce(4)))
        assert [(number, params) for number, _, params, *_ in again] == [
            (number, params) for number, _, params, *_ in whole
        ]


@pytest.mark.parametrize("workers", [1, 3])
def test_exactly_so_many_trials_are_accounted_for(tmp_path: Path, workers: int) -> None:
    events: list[Event] = []
    study = searched(tmp_path / "j", space(), Pretence(workers), events)
    assert [trial.number for trial in study.trials] == list(range(40))
    assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in study.trials)
    ends = [event for event in events if isinstance(event, TrialEnded)]
    assert sorted(end.trial for end in ends) == list(range(40))
    states = {end.trial: end.state for end in ends}
    for trial in study.trials:
        assert states[trial.number] == trial.state.name.lower()
        assert (trial.state == TrialState.COMPLETE) == (max(values_of(trial)) == 5)


def test_pruned_is_who_is_told_so(tmp_path: Path) -> None:
    events: list[Event] = []
    study = searched(tmp_path / "j", space(), Pretence(2), events)
    dropped = {e.trial: e.epoch for e in events if isinstance(e, TrialReported) and e.pruned}
    pruned = {t.number: max(values_of(t)) for t in study.trials if t.state == TrialState.PRUNED}
    assert pruned == dropped
    assert set(pruned.values()) <= {1, 2, 4}
    assert 10 < len(pruned) < 40


@pytest.mark.parametrize("workers", [1, 3])
def test_a_cut_at_any_entry_and_going_on_is_as_no_cut(tmp_path: Path, workers: int) -> None:
    """Wherever a kill or a power cut ends the journal: `quarantine` cuts off what is torn."""
    plan = space(trials=5)
    whole = account(searched(tmp_path / "whole", plan, Pretence(workers)))
    journal = (tmp_path / "whole").read_bytes()
    ends = [end for end, byte in enumerate(journal, start=1) if byte == ord("\n")]
    assert len(ends) > 30
    for end in ends[:-1]:
        path = tmp_path / f"cut-{end}"
        path.write_bytes(journal[:end])
        again = account(searched(path, plan, Pretence(workers)))
        if workers == 1:
            assert again == whole
            continue
        # Which report comes first may differ, and with it who is ended.
        assert [(n, params, attrs) for n, _, params, _, _, attrs in again] == [
            (n, params, attrs) for n, _, params, _, _, attrs in whole
        ]
        for _, state, _, values, value, _ in again:
            assert list(values) == list(range(1, len(values) + 1))
            assert value == values[len(values)]
            assert (state == "COMPLETE") == (len(values) == 5)


def test_cut_again_and_again_it_still_ends(tmp_path: Path) -> None:
    plan = space(trials=8)
    whole = account(searched(tmp_path / "whole", plan, Pretence(1)))
    path, length = tmp_path / "j", 0
    for _ in range(1000):
        again = account(searched(path, plan, Pretence(1)))
        assert again == whole
        journal = path.read_bytes()
        if len(journal) <= length:
            break
        length += 700
        path.write_bytes(journal[:length])
    assert account(searched(path, plan, Pretence(1))) == whole


def test_a_lost_worker_costs_no_trial_and_is_told(tmp_path: Path) -> None:
    lost = set()

    def fate(task: Task, epoch: int) -> Message | None:
        if epoch == 1 and task.trial % 5 == 0 and task.trial not in lost:
            lost.add(task.trial)
            return Lost(task.trial, 1, "killed by signal 9")
        return None

    events: list[Event] = []
    study = searched(tmp_path / "j", space(trials=10), Pretence(2, fate), events)
    assert {e.trial for e in events if isinstance(e, WorkerLost)} == {0, 5}
    assert [trial.number for trial in study.trials] == list(range(10))
    assert all(trial.state.is_finished() for trial in study.trials)


def test_trials_that_fail_are_accounted_for_with_their_reasons(tmp_path: Path) -> None:
    def fate(task: Task, epoch: int) -> Message | None:
        if task.trial == 1:
            return Failed(1, ("out of memory", "out of memory", "hung"))
        if task.trial == 2 and epoch == 2:
            return Diverged(2, 2, "the loss became nan")
        return None

    study = searched(tmp_path / "j", space(trials=5, more="pruner = none"), Pretence(1, fate))
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert attribute(study.trials[1], REASON) == "out of memory; then out of memory; then hung"
    assert attribute(study.trials[2], REASON) == "diverged: the loss became nan"
    assert values_of(study.trials[2]) == {1: pytest.approx(study.trials[2].intermediate_values[1])}


def test_what_is_pre_trained_is_told_and_written_once(tmp_path: Path) -> None:
    def fate(task: Task, epoch: int) -> Message | None:
        if task.trial in told:
            return None
        told.add(task.trial)
        if task.trial == 3:
            return Noted(3, "its state is damaged")
        return Pretrained(task.trial, "resnet8", replace(done, cached=task.trial > 0))

    told: set[int] = set()
    done = PretrainDone("t", 91.5, "validation")
    events: list[Event] = []
    searched(tmp_path / "j", space(trials=4), Pretence(1, fate), events)
    assert [each for each in events if isinstance(each, TeacherReady | SearchWarning)] == [
        TeacherReady("resnet8", done),
        SearchWarning("trial 3: its state is damaged"),
    ]
    (teacher,) = map(Teacher.model_validate, Study(tmp_path / "j", "g").teachers)
    assert (teacher.node, teacher.network, teacher.accuracy) == ("t", "resnet8", 91.5)
    assert not teacher.cached


def test_an_exhausted_space_ends_the_search(tmp_path: Path) -> None:
    text = "graph g { node a = resnet8 target a edge label -> a via through | linear | cutoff }"
    plan = sound(text + "search { trials = 50 } train { epochs = 2 }")
    events: list[Event] = []
    study = searched(tmp_path / "j", plan, Pretence(1), events)
    assert len(study.trials) == 2
    assert Exhausted(2, 50) in events


class TestChecks:
    def study(self, path: Path, more: str = "") -> tuple[Plan, Study]:
        plan = space(trials=20, more=more)
        return plan, searched(path / "j", plan, Pretence(1))

    def test_leaders_are_the_best_that_are_complete(self, tmp_path: Path) -> None:
        _, study = self.study(tmp_path)
        complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
        best = leaders(study.trials)
        assert len(best) == min(3, len(complete))
        assert [t.value for t in best] == sorted((t.value or 0 for t in complete), reverse=True)[:3]

    def test_without_a_complete_trial_who_came_furthest_leads(self, tmp_path: Path) -> None:
        def fate(task: Task, epoch: int) -> Message | None:
            return Diverged(task.trial, epoch, "nan") if epoch == 5 - task.trial % 2 else None

        plan = space(trials=8, more="pruner = none")
        study = searched(tmp_path / "j", plan, Pretence(1, fate))
        first = leaders(study.trials)[0]
        assert first.number % 2 == 0
        furthest = [t for t in study.trials if max(values_of(t)) == 4]
        assert values_of(first)[4] == max(values_of(t)[4] for t in furthest)

    def test_where_nothing_has_a_value_nobody_leads(self, tmp_path: Path) -> None:
        def fate(task: Task, epoch: int) -> Message | None:
            return Diverged(task.trial, epoch, "nan")

        study = searched(tmp_path / "j", space(trials=4), Pretence(1, fate))
        assert leaders(study.trials) == []

    def test_baselines_are_the_target_alone_and_all_gates_open(self, tmp_path: Path) -> None:
        plan, study = self.study(tmp_path)
        found = baselines(plan, leaders(study.trials)[0])
        alone, opened = found[TARGET_ALONE], found[ALL_THROUGH]
        assert [str(edge) for edge in alone.graph.edges] == ["label -> a"]
        assert [node.name for node in alone.graph.nodes] == ["a"]
        assert len(opened.graph.edges) == 4
        assert {str(t.gate) for edge in opened.graph.edges for t in edge.terms} == {"through"}
        for each in (alone, opened):
            assert each.data.holdout
            assert each.train.epochs == 5

    def test_they_are_trained_once_and_their_values_kept(self, tmp_path: Path) -> None:
        plan, study = self.study(tmp_path, more="confirm = 2")
        finalists = leaders(study.trials)
        checks = confirmations(plan, finalists)
        assert len(checks) == 2 * len(finalists)
        assert len({check.seed for check in checks}) == 2  # the same for all, so that they compare
        trained = []

        def fate(task: Task, epoch: int) -> Message | None:
            trained.append(task.seed)
            return None

        def train(wanted: list[Check]) -> None:
            again = Study(tmp_path / "j", "g")
            coordinator = Coordinator(plan, again, lambda _: None, improved=lambda _: None)
            coordinator.checks(Pretence(99, fate), wanted)  # type: ignore[arg-type]  # it pretends

        train(checks[:3])
        train(checks)
        assert len(trained) == len(checks) * 5
        noted = Study(tmp_path / "j", "g").checks
        assert len(noted) == len(checks)
        found = scores(noted, ["trial " + str(finalists[0].number)])
        assert len(found["trial " + str(finalists[0].number)].runs) == 2

    def test_they_say_how_far_they_are_and_who_gave_no_value(self, tmp_path: Path) -> None:
        plan, study = self.study(tmp_path)
        (best, *_) = leaders(study.trials)
        first, second = (Check(n, p, 7) for n, p in baselines(plan, best).items())
        third = Check(TARGET_ALONE, first.plan, 8)

        def fate(task: Task, epoch: int) -> Message | None:
            if task.plan == second.plan.to_json() and epoch == 3:
                return Diverged(task.trial, epoch, "a loss became nan")
            return Failed(task.trial, ("hung", "hung")) if task.seed == 8 else None

        def judge(wanted: list[Check]) -> list[Event]:
            events: list[Event] = []
            again = Study(tmp_path / "j", "g")
            coordinator = Coordinator(plan, again, events.append, improved=lambda _: None)
            coordinator.checks(Pretence(99, fate), wanted)  # type: ignore[arg-type]  # it pretends
            return events

        events = judge([first, second])
        told = [(e.name, e.epoch) for e in events if isinstance(e, CheckReported)]
        assert sorted(told) == [
            *((ALL_THROUGH, n) for n in (1, 2)),
            *((TARGET_ALONE, n) for n in range(1, 6)),
        ]
        nan = "diverged at epoch 3: a loss became nan"
        ends = [event for event in events if isinstance(event, CheckDone)]
        assert [(e.name, e.done, e.of, e.reason) for e in ends] == [
            (ALL_THROUGH, 1, 2, nan),
            (TARGET_ALONE, 2, 2, ""),
        ]
        (end,) = judge([first, second, third])[-1:]
        assert end == CheckDone(TARGET_ALONE, 8, 3, 3, None, "failed: hung; then hung")
        noted = Study(tmp_path / "j", "g").checks
        missing = [(m.name, m.seed, m.reason) for m in unjudged(noted, [TARGET_ALONE, ALL_THROUGH])]
        assert missing == [(TARGET_ALONE, 8, end.reason), (ALL_THROUGH, 7, nan)]
        assert {
            name: score.runs for name, score in scores(noted, [TARGET_ALONE, ALL_THROUGH]).items()
        } == {TARGET_ALONE: (ends[1].value,)}
