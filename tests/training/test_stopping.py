"""Early stopping: when a phase ends, what goes on then, what is said of it, and resuming."""

import json
from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path

import pytest
from torch import Tensor

import ktgdsl
from ktgdsl.plan.model import Plan
from ktgdsl.report.run_text import plain_run_listener, run_result_text
from ktgdsl.searching.workers.protocol import Task
from ktgdsl.searching.workers.worker import Worker
from ktgdsl.space.unparse_plan import unparse_plan
from ktgdsl.tables.cost import StepTimes, cost_of_run
from ktgdsl.tables.model import Row
from ktgdsl.tables.status import RowStatus
from ktgdsl.tables.status import Task as TableTask
from ktgdsl.training.events import EpochDone, EpochsSkipped, Event, PretrainDone
from ktgdsl.training.loop import ResumePoint
from ktgdsl.training.predictions import GraphPredictor, NetworkPredictor
from ktgdsl.training.repeats import RunInterrupted
from ktgdsl.training.step import Stepper
from tests.searching.workers.test_worker import CPU, FakeCoordinator
from tests.specs import said
from tests.trained import train_plan
from tests.training.test_step import assert_equal, through_a_file, weights

DATA = "data digits { batch = 32  samples = 160  validation = 96  holdout = true }"
LINEAR = 'python("tests.searching.workers.test_worker:linear")'
PAIR = f"graph g {{ node a, b = {LINEAR} target a edge label -> * edge a <-> b : kl via linear }}"
ALONE = f"graph g {{ node a = {LINEAR} target a edge label -> a }}"
PHASES = """
    train { epochs = 6  stop = patience(2)  schedule = step(every=50%) }
    phase one { learn = [a]  take = best }
    phase two { learn = [a, b]  epochs = 5 }
    phase three { learn = [b]  epochs = 2  stop = never }
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


def load(text: str) -> Plan:
    plan: Plan = ktgdsl.loads(text + DATA)
    return plan


def measure(monkeypatch: pytest.MonkeyPatch, **accuracies: Sequence[float]) -> None:
    """Have the evaluations give these accuracies of each node, and then the last one."""
    series = {name: chain(each, repeat(each[-1])) for name, each in accuracies.items()}

    def evaluated(answers: NetworkPredictor | GraphPredictor, *_: object) -> dict[str, float]:
        return {name: float(next(series[name])) for name in answers.nodes}

    monkeypatch.setattr("ktgdsl.training.loop.evaluate", evaluated)


class Trace:
    """The epochs of a training, the weights after each, and the states to resume from."""

    def __init__(self) -> None:
        self.done: list[EpochDone] = []
        self.weights: list[dict[str, dict[str, Tensor]]] = []
        self.states: list[ResumePoint] = []

    def __call__(self, done: EpochDone, step: Stepper) -> None:
        self.done.append(done)
        self.weights.append({name: weights(step, name) for name in step.networks})
        self.states.append(ResumePoint(done.epoch, through_a_file(step.state_dict())))


@pytest.mark.parametrize(
    ("accuracies", "patience", "epochs", "best"),
    [
        ([10, 20, 20, 15], 2, 4, 2),  # equal is not better
        ([10, 9, 20, 19, 18], 2, 5, 3),
        ([10, 9], 1, 2, 1),
        ([50, 40, 30, 20, 10, 5], 5, 6, 1),  # the last epoch comes first
        ([1, 2, 3, 4, 5, 6], 1, 6, 6),
        ([30, 20, 40, 30, 50, 40], 2, 6, 5),
    ],
)
@pytest.mark.parametrize("take", ["last", "best"])
def test_a_training_ends_after_so_many_epochs_without_progress(
    accuracies: list[float],
    patience: int,
    epochs: int,
    best: int,
    take: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure(monkeypatch, a=accuracies)
    trace = Trace()
    plan = load(f"{ALONE} train {{ epochs = 6  stop = patience({patience})  take = {take} }}")
    trained = train_plan(plan, on_epoch=trace)
    assert trained.accuracy.epochs == (epochs,)
    assert [done.last for done in trace.done] == [False] * (epochs - 1) + [True]
    early = epochs < 6
    reason = f"no better accuracy on held-out samples for {patience} epoch{'s' * (patience > 1)}"
    assert [done.stopped for done in trace.done] == [""] * (epochs - 1) + [reason * early]
    kept = trace.weights[(best if take == "best" else epochs) - 1]["a"]
    assert_equal(weights(trained.stepper, "a"), kept)


def test_progress_of_one_node_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    measure(monkeypatch, a=[9, 8, 7, 6, 5], b=[1, 2, 2, 3, 3, 3])
    trained = train_plan(load(PAIR + "train { epochs = 9  stop = patience(2) }"))
    assert trained.accuracy.epochs == (6,)


def test_gates_and_schedules_keep_to_the_planned_length(monkeypatch: pytest.MonkeyPatch) -> None:
    train = "train {{ epochs = 8  schedule = step(every=25%)  stop = {} }}"
    whole, early = Trace(), Trace()
    train_plan(load(PAIR + train.format("never")), on_epoch=whole)
    measure(monkeypatch, a=[1], b=[1])
    train_plan(load(PAIR + train.format("patience(2)")), on_epoch=early)
    assert len(early.done) == 3
    for name in ("a", "b"):
        assert_equal(early.weights[2][name], whole.weights[2][name])
    assert [done.learning_rate for done in early.done] == [
        done.learning_rate for done in whole.done[:3]
    ]


def test_the_next_phase_begins_where_one_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    measure(monkeypatch, a=[1, 3, 2, 2, 5], b=[9])
    trace, events = Trace(), list[Event]()
    trained = train_plan(load(PAIR + PHASES), on_epoch=trace, listener=events.append)
    assert [(done.epoch, done.phase, bool(done.stopped)) for done in trace.done] == [
        (1, "one", False), (2, "one", False), (3, "one", False), (4, "one", True),
        (5, "two", False), (6, "two", False), (7, "two", True),
        (8, "three", False), (9, "three", False),
    ]  # fmt: skip
    assert trained.accuracy.epochs == (4, 3, 2)
    assert [event.epochs for event in events if isinstance(event, EpochsSkipped)] == [2, 4]
    assert_equal(trace.weights[6]["a"], weights(trained.stepper, "a"))
    # Schedules start afresh: `step(every=50%)` of six epochs, and of five.
    rates = [next(iter(done.learning_rate.values())) for done in trace.done]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.1, 0.1, 0.01, 0.1, 0.01])


@pytest.mark.parametrize("take", ["last", "best"])
def test_resuming_after_any_epoch_gives_equal_bits(
    take: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load(PAIR + PHASES.replace("epochs = 5", f"epochs = 5 take = {take}"))
    a = [1, 3, 2, 2, 4, 5, 5, 5, 5, 5, 5]
    measure(monkeypatch, a=a, b=[9])
    trace = Trace()
    whole = train_plan(plan, on_epoch=trace)
    assert whole.accuracy.epochs == (4, 4, 2)
    for point in trace.states:
        measure(monkeypatch, a=a[point.epoch :], b=[9])
        skipped = list[Event]()
        resumed = train_plan(plan, resume=point, listener=skipped.append)
        assert resumed.accuracy.epochs == whole.accuracy.epochs
        for name in whole.stepper.networks:
            assert_equal(weights(resumed.stepper, name), weights(whole.stepper, name))
        known = [event.epochs for event in skipped if isinstance(event, EpochsSkipped)]
        assert known == ([2, 3] if point.epoch < 8 else [3] if point.epoch < 10 else [])


def test_a_run_says_what_ended_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = load(PAIR + PHASES.replace("epochs = 6", "epochs = 6  repeats = 2  seed = 5"))
    first, second = [1, 3, 2, 2, 4, 5, 6, 7, 8], [1, 1, 1, 1, 0, 0]
    measure(monkeypatch, a=[*first, 0, 0, *second], b=range(5))
    lines: list[str] = []
    result = ktgdsl.run(
        plan, out=tmp_path / "run", device="cpu", listener=plain_run_listener(lines.append)
    )
    stored = json.loads((tmp_path / "run/result.json").read_text())
    reason = "no better accuracy on held-out samples for 2 epochs"
    assert (result.epochs, stored["epochs"]) == (11, 11)
    of_first = {"seed": 5, "phase": "one", "epochs": 4, "planned": 6, "reason": reason}
    assert stored["stopped"][0] == of_first
    assert {stop["seed"] for stop in stored["stopped"]} == {5, 6}
    assert ktgdsl.resume(tmp_path / "run") == result
    assert f"seed 5: phase one stopped after 4 of 6 epochs: {reason}" in run_result_text(
        plan, result
    )
    assert lines[0].startswith("g: at most 13 epochs of 2 steps")
    at = lines.index(f"phase one stopped after epoch 4: {reason}")
    assert lines[at - 1].startswith("phase one:  epoch  4/13")
    assert lines[at + 1].startswith("phase two:  epoch  5/11")
    text = (tmp_path / "run/metrics.jsonl").read_text()
    metrics = [json.loads(line) for line in text.splitlines()]
    ends = [(each["epoch"], each["stopped"]) for each in metrics if "stopped" in each]
    assert ends[0] == (4, reason)
    left_out = sum(stop.planned - stop.epochs for stop in result.stopped)
    task = TableTask(None, plan, (), tmp_path)  # type: ignore[arg-type]
    times = StepTimes([RowStatus(Row(label="x"), run=task, result=result)])
    steps = cost_of_run(plan).steps - left_out * plan.data.steps_per_epoch
    assert times.seconds(plan, steps) == pytest.approx(result.seconds)


def test_an_interrupted_run_counts_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load(ALONE + "train { epochs = 9  repeats = 2  stop = patience(1) }")
    measure(monkeypatch, a=[2, 1, 0, 2, 3])

    def interrupt(event: Event) -> None:
        if isinstance(event, EpochDone) and event.accuracy == {"a": 3}:
            raise KeyboardInterrupt

    with pytest.raises(RunInterrupted, match="4 of at most 18 epochs are kept"):
        ktgdsl.run(plan, out=tmp_path / "run", device="cpu", listener=interrupt)


# Pre-training

TEACHER = f"""
    graph g {{ node s, t = {LINEAR} target s edge label, t -> s }}
    train {{ epochs = 1 }}
"""


@pytest.mark.parametrize(("take", "accuracy"), [("last", 20), ("best", 30)])
def test_a_pre_training_may_end_early(
    take: str, accuracy: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain = f"pretrain {{ epochs = 9  stop = patience(2)  take = {take} }}"
    measure(monkeypatch, pretrained=[30, 10, 20], s=[0], t=[0])
    events = list[Event]()
    plan = load(TEACHER + pretrain)
    result = ktgdsl.run(plan, out=tmp_path / "run", device="cpu", listener=events.append)
    (done,) = (event for event in events if isinstance(event, PretrainDone))
    assert done == PretrainDone("t", accuracy, "validation", stopped=3)
    (facts,) = result.nodes["t"].pretrained or ()
    assert (facts.stopped, facts.cached, facts.accuracy) == (3, False, accuracy)
    train_plan(plan, listener=events.append)
    assert PretrainDone("t", accuracy, "validation", cached=True, stopped=3) in events


def test_pre_training_ends_as_train_says_where_it_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    early = TEACHER.replace("epochs = 1", "epochs = 9  stop = patience(1)  take = best")
    measure(monkeypatch, pretrained=[30, 10], s=[1], t=[0])
    events = list[Event]()
    train_plan(load(early), listener=events.append)
    assert PretrainDone("t", 30, "validation", stopped=2) in events
    assert load(early + "pretrain { stop = never }").pretrain.stop is None  # type: ignore[union-attr]


# Early-stopped teachers (Cho and Hariharan, ICCV 2019)


@pytest.mark.parametrize(
    ("blocks", "epochs"),
    [
        ("train { epochs = 5 } pretrain { epochs = 2 }", 2),
        ("train { epochs = 5 } pretrain { epochs = 9  stop = patience(2) }", 4),
        ("phase teach { learn = [t]  epochs = 2 } phase study { learn = [s]  epochs = 5 }", 2),
        (
            "phase teach { learn = [t]  epochs = 9  stop = patience(2) }"
            "phase study { learn = [s]  epochs = 5 }",
            4,
        ),
    ],
)
def test_a_student_learns_from_a_teacher_that_was_stopped_early_until_a_share_of_its_training(
    blocks: str, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = "edge label -> t" * ("teach" in blocks)
    plan = load(f"""
        graph early_stopped {{
            node s, t = {LINEAR}
            target s
            edge label -> s
            {teacher}
            edge t -> s : kl(T=4) via until(60%)
        }}
        {blocks}
    """)
    series = [1, 5, 4, 3, 2]
    measure(monkeypatch, pretrained=series, t=series, s=[0])
    trace, events = Trace(), list[Event]()
    trained = train_plan(plan, on_epoch=trace, listener=events.append)
    epochs_done = [event for event in events if isinstance(event, EpochDone)]
    taught = [done for done in epochs_done if done.metrics.loss.keys() != {"s"}]
    assert len(taught) == epochs
    study = [done for done in trace.done if "s" in done.metrics.loss]
    assert [done.metrics.edges["t", "s"].open for done in study] == [1, 1, 1, 0, 0]
    for kept in trace.weights[-5:]:  # it is frozen while the student learns
        assert_equal(kept["t"], weights(trained.stepper, "t"))


# The language


def test_without_held_out_samples_there_is_no_progress() -> None:
    reason = "progress is measured on held-out samples, and none are held out"
    graph = "graph g { node a = resnet8 target a edge label -> a } "
    assert said(graph + "train { stop = patience }") == [f"E302 {reason}"]
    assert said(graph + "pretrain { stop = patience(3) }") == [f"E302 {reason}"]
    assert said(graph + "phase one { learn = [a] stop = patience }") == [f"E410 {reason}"]
    assert said(graph + "train { stop = never } phase one { learn = [a] stop = never }") == []


def test_a_spec_keeps_when_it_ends() -> None:
    for more in (
        "train { stop = patience(3) }",
        "train { stop = patience } pretrain { stop = never }",
        "train { stop = patience } phase one { learn = [s] stop = never }",
        "phase one { learn = [s] stop = patience(4) }",
        "pretrain { stop = patience  take = best }",
    ):
        plan = load(TEACHER.partition("train")[0] + more)
        assert ktgdsl.loads(unparse_plan(plan, Path.cwd())).digest == plan.digest


def test_when_it_ends_counts_in_a_digest_where_it_is_read() -> None:
    def digest(train: str, graph: str = ALONE) -> str:
        return load(f"{graph} {train}").digest

    assert digest("train { stop = never }") == digest("") != digest("train { stop = patience }")
    phase = "phase one { learn = [a] stop = never }"
    assert digest(f"train {{ stop = patience }} {phase}") == digest(phase)
    teacher = TEACHER.partition("train")[0]
    phase = "phase one { learn = [s] stop = never }"
    assert digest(f"train {{ stop = patience }} {phase}", teacher) != digest(phase, teacher)


# Searches


@pytest.mark.parametrize(
    ("take", "values"), [("last", [10, 40, 20, 30]), ("best", [10, 40, 40, 40])]
)
def test_a_trial_that_ends_early_is_complete_with_the_value_of_what_it_keeps(
    take: str, values: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(monkeypatch, a=[10, 40, 20, 30, 50])
    plan = load(f"{ALONE} train {{ epochs = 9  stop = patience(2)  take = {take} }}")
    coordinator = FakeCoordinator()
    monkeypatch.setattr(coordinator, "_keep", lambda report: True)
    task = Task(0, plan.to_json(), seed=1, study_seed=0, objective="a")
    Worker(coordinator, CPU, tmp_path).train(task)
    assert coordinator.values == dict(enumerate(values, start=1))
    assert [report.last for report in coordinator.reports] == [False, False, False, True]


def test_the_value_of_an_ensemble_is_that_of_the_best_epochs_of_its_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load(f"""
        graph g {{
            node a, b = {LINEAR}
            node mix = ensemble(a, b)
            target mix
            edge label -> a, b
        }}
        train {{ epochs = 3  take = best }}
    """)
    measure(monkeypatch, a=[30, 20, 10], b=[10, 30, 20], mix=[50, 60, 40, 70])
    coordinator = FakeCoordinator()
    Worker(coordinator, CPU, tmp_path).train(Task(0, plan.to_json(), 1, 0, "mix"))
    assert coordinator.values == {1: 50, 2: 60, 3: 70}  # 70 once they have their best weights
