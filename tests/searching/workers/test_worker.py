"""A worker of a search, in this process: what it trains, says, keeps and asks."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend.networks import make
from ktgdsl.backend.output import Output
from ktgdsl.diagnostics.diagnostic import Subject
from ktgdsl.errors import NodeError
from ktgdsl.plan.model import Call, Plan, Steps
from ktgdsl.searching.workers import trial_checkpoint, worker
from ktgdsl.searching.workers.protocol import (
    Busy,
    Decision,
    Diverged,
    FromWorker,
    Noted,
    Pretrained,
    Raised,
    Ready,
    Report,
    Task,
    state_path,
)
from ktgdsl.searching.workers.worker import Worker
from ktgdsl.training import digits
from ktgdsl.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ktgdsl.training.data import load_splits, load_training_data
from ktgdsl.training.loop import epochs
from ktgdsl.training.metrics import EpochMeter
from ktgdsl.training.run_files import folder_error
from tests.plans import RESNET8, sgd, tiny_plan

CPU = torch.device("cpu")
HELD = {"batch": 256, "holdout": True}
LINEAR = Call(name="python", arguments={"function": "tests.searching.workers.test_worker:linear"})


def linear() -> nn.Module:
    """What trains in no time."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


class Killed(BaseException):
    """What a worker meets here instead of SIGKILL."""


class FakeCoordinator:
    """A coordinator in the same thread: gives tasks, and keeps a trial as long as `keep` says."""

    def __init__(self, *tasks: Task, keep: Callable[[Report], bool] = lambda _: True) -> None:
        self.heard: list[FromWorker] = []
        self._tasks = iter(tasks)
        self._keep = keep

    def send(self, message: FromWorker) -> None:
        self.heard.append(message)

    def receive(self) -> Any:
        last = self.heard[-1]
        if isinstance(last, Ready):
            try:
                return next(self._tasks)
            except StopIteration:
                raise Killed from None
        assert isinstance(last, Report)
        return Decision(self._keep(last))

    @property
    def reports(self) -> list[Report]:
        return [each for each in self.heard if isinstance(each, Report)]

    @property
    def values(self) -> dict[int, float]:
        return {each.epoch: each.value for each in self.reports}


def serve(folder: Path, coordinator: FakeCoordinator) -> FakeCoordinator:
    """A worker's life up to where the coordinator has no task left, or kills it."""
    folder.mkdir(exist_ok=True)
    with pytest.raises(Killed):
        Worker(coordinator, CPU, folder).serve()
    return coordinator


def task(plan: Plan, trial: int = 0, seed: int = 0, **more: Any) -> Task:
    given = {"study_seed": 7, "objective": plan.graph.targets[0], **more}
    return Task(trial, plan.to_json(), seed, **given)


def alone(epochs: int = 3, network: Call = LINEAR, **more: Any) -> Plan:
    """One network on the labels, four steps an epoch."""
    settings = {"a": {"network": network}}
    return tiny_plan("a", settings=settings, data=HELD, epochs=epochs, **more)


def kd(**more: Any) -> Plan:
    """A linear student and its frozen teacher, one step an epoch."""
    edges = [("label", "s"), ("t", "s")]
    settings = {"s": {"network": LINEAR}, "t": {"frozen": "no edge enters it", **more}}
    return tiny_plan("st", edges, settings=settings, data={**HELD, "validation": 1000})


def killed_at(epoch: int) -> Callable[[Report], bool]:
    def keep(report: Report) -> bool:
        if report.epoch == epoch:
            raise Killed
        return True

    return keep


def state(folder: Path, trial: int = 0) -> Mapping[str, Any]:
    found: dict[str, Any] = torch.load(state_path(folder, trial), weights_only=True)
    return found


def tensors(content: object) -> Iterator[Tensor]:
    """All tensors in a state, in order."""
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, Mapping):
        for each in content.values():
            yield from tensors(each)
    elif isinstance(content, list | tuple):
        for each in content:
            yield from tensors(each)


# A trial


def test_a_trial_reports_epoch_after_epoch_to_its_end(tmp_path: Path) -> None:
    coordinator = serve(tmp_path, FakeCoordinator(task(alone(), trial=4)))
    kinds = [type(each) for each in coordinator.heard if not isinstance(each, Busy)]
    assert kinds == [Ready, Report, Report, Report, Ready]
    assert [(each.trial, each.epoch, each.last) for each in coordinator.reports] == [
        (4, 1, False),
        (4, 2, False),
        (4, 3, True),
    ]
    assert all(each.seconds > 0 for each in coordinator.reports)


def test_nothing_is_trained_that_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []

    def counted(*given: Any, **more: Any) -> Any:
        for done in epochs(*given, **more):
            trained.append(done.epoch)
            yield done

    monkeypatch.setattr(worker, "epochs", counted)
    tasks = task(alone(8)), task(alone(8), trial=1)
    coordinator = serve(
        tmp_path, FakeCoordinator(*tasks, keep=lambda report: report.epoch < 2 + report.trial)
    )
    assert trained == [1, 2, 1, 2, 3]
    assert [each.epoch for each in coordinator.reports] == trained


def test_the_value_is_the_accuracy_on_the_validation_split_of_the_study(tmp_path: Path) -> None:
    coordinator = serve(
        tmp_path, FakeCoordinator(task(alone(5, RESNET8), seed=3), keep=killed_at(5))
    )
    network = make("resnet", {"depth": 8}, 1, 10)
    network.load_state_dict(state(tmp_path)["state"]["stepper"]["networks"]["a"])
    network.eval()
    # The seed of the study, not of the trial: all trials are measured on the same images.
    held = load_splits(alone().data, 7, CPU).validation
    assert held is not None
    with torch.no_grad():
        hits = [
            int(network(held.batch(slice(i, i + 1))[0]).argmax()) == int(held.label[i])
            for i in range(259)
        ]
    assert coordinator.values[4] == pytest.approx(100 * sum(hits) / 259)
    assert coordinator.values[4] > 20  # chance is 10


def test_the_value_is_the_accuracy_on_the_test_split_where_that_is_asked_for(
    tmp_path: Path,
) -> None:
    asked = task(alone(5, RESNET8), seed=3, judged_on="test")
    coordinator = serve(tmp_path, FakeCoordinator(asked, keep=killed_at(5)))
    network = make("resnet", {"depth": 8}, 1, 10)
    network.load_state_dict(state(tmp_path)["state"]["stepper"]["networks"]["a"])
    network.eval()
    test = load_splits(alone().data, 7, CPU).test
    with torch.no_grad():
        hits = [
            int(network(test.batch(slice(i, i + 1))[0]).argmax()) == int(test.label[i])
            for i in range(500)
        ]
    assert coordinator.values[4] == pytest.approx(100 * sum(hits) / 500)
    assert coordinator.values[4] > 20  # chance is 10


def test_the_best_epoch_is_of_the_held_out_split_whichever_judges(tmp_path: Path) -> None:
    """At a rate at which accuracies jump up and down, and cut off between them."""

    def values(folder: str, keep: Callable[[Report], bool], take: str, on: str) -> dict[int, float]:
        plan = alone(12, optimizer=sgd(lr=3.0), take=take)
        asked = task(plan, seed=5, judged_on=on)
        return serve(tmp_path / folder, FakeCoordinator(asked, keep=keep)).values

    def to_end(_: Report) -> bool:
        return True

    held_out, test = (values(on, to_end, "last", on) for on in ("validation", "test"))
    best = [max(range(1, n + 1), key=lambda e: (held_out[e], -e)) for n in held_out]
    assert len(set(best)) > 1
    assert best != [*held_out]
    assert best != [max(range(1, n + 1), key=lambda e: (test[e], -e)) for n in test]
    expected = {n: test[epoch] for n, epoch in enumerate(best, start=1)}
    assert values("whole", to_end, "best", "test") == expected
    cut = values("cut", killed_at(10), "best", "test")
    assert cut == {n: expected[n] for n in range(1, 11)}
    assert values("cut", to_end, "best", "test") == expected


def test_only_the_objective_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[list[str]] = []

    def watched(answers: Any, *_: object) -> dict[str, float]:
        measured.append(list(answers.nodes))
        return dict.fromkeys(answers.nodes, 50.0)

    monkeypatch.setattr("ktgdsl.training.loop.evaluate", watched)
    plan = tiny_plan("abc", settings={name: {"network": LINEAR} for name in "abc"}, data=HELD)
    coordinator = serve(tmp_path, FakeCoordinator(task(plan, objective="b")))
    assert measured == [["b"]]
    assert coordinator.values == {1: 50.0}


def test_the_test_split_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, every number is the same, pre-training included."""
    with_it = serve(tmp_path / "one", FakeCoordinator(task(kd())))
    image, label = digits.read()
    monkeypatch.setattr(digits, "read", lambda: (image[:1297], label[:1297]))
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "another"))
    without = serve(tmp_path / "two", FakeCoordinator(task(kd())))
    assert without.values == with_it.values
    assert list(without.values) == [1]


def test_a_trial_without_a_validation_split_is_refused(tmp_path: Path) -> None:
    coordinator = FakeCoordinator(task(tiny_plan("a")))
    Worker(coordinator, CPU, tmp_path).serve()
    last = coordinator.heard[-1]
    assert isinstance(last, Raised)
    assert last.reason.startswith("ValueError: a trial is measured on a validation split")


def test_equal_data_are_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[int] = []

    def counted(*given: Any) -> Any:
        loads.append(given[0].batch)
        return load_training_data(*given)

    monkeypatch.setattr("ktgdsl.searching.workers.trial_value.load_training_data", counted)
    other = alone().data.model_copy(update={"batch": 1000})
    plans = [alone(1), alone(1, clip=1.0), alone(1).model_copy(update={"data": other})]
    tasks = [task(plan, trial, seed=trial) for trial, plan in enumerate(plans)]
    coordinator = serve(tmp_path, FakeCoordinator(*tasks))
    assert loads == [256, 1000]
    assert len(coordinator.reports) == 3


# Going on


def test_a_trial_that_was_cut_off_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    plan = alone(5, RESNET8)
    serve(tmp_path / "whole", whole := FakeCoordinator(task(plan, seed=5), keep=killed_at(5)))
    serve(tmp_path / "cut", first := FakeCoordinator(task(plan, seed=5), keep=killed_at(4)))
    assert state(tmp_path / "cut")["epoch"] == 2
    serve(tmp_path / "cut", rest := FakeCoordinator(task(plan, seed=5), keep=killed_at(5)))
    # What the first attempt has said is said again, as nobody knows whether it arrived.
    assert rest.reports[:2] == first.reports[:2]
    assert rest.values == whole.values
    assert [*rest.values] == [1, 2, 3, 4, 5]
    one, other = (state(tmp_path / name) for name in ("whole", "cut"))
    assert one["epoch"] == other["epoch"] == 4
    pairs = [*zip(tensors(one), tensors(other), strict=True)]
    assert len(pairs) > 20
    assert all(torch.equal(*pair) for pair in pairs)


def test_a_trial_that_was_cut_off_inside_of_an_epoch_goes_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = alone(2, checkpoint=Steps(steps=3))  # of four steps an epoch
    serve(tmp_path / "whole", whole := FakeCoordinator(task(plan)))

    def die(checkpoint: Checkpoint, path: Path) -> None:
        save_checkpoint(checkpoint, path)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(trial_checkpoint, "save_checkpoint", die)
        serve(tmp_path / "cut", FakeCoordinator(task(plan)))
    taken: list[int] = []
    update = EpochMeter.update

    def counted(meter: EpochMeter, output: Output, label: Tensor, k: int) -> None:
        taken.append(k)
        update(meter, output, label, k)

    monkeypatch.setattr(EpochMeter, "update", counted)
    serve(tmp_path / "cut", rest := FakeCoordinator(task(plan)))
    assert taken == [4, 5, 6, 7, 8]
    assert rest.values == whole.values


def test_states_are_kept_at_rungs_that_are_survived(tmp_path: Path) -> None:
    seen: dict[int, int | None] = {}

    def keep(report: Report) -> bool:
        path = state_path(tmp_path, 0)
        seen[report.epoch] = state(tmp_path)["epoch"] if path.exists() else None
        return True

    serve(tmp_path, FakeCoordinator(task(alone(8)), keep=keep))
    assert seen == {1: None, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 8: 4}


def test_nobody_is_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = serve(tmp_path / "whole", FakeCoordinator(task(alone(4))))
    # Without a state all is trained again; signs of life take the place of reports.
    coordinator = serve(tmp_path / "again", FakeCoordinator(task(alone(4), decided_epochs=3)))
    assert coordinator.values == {4: whole.values[4]}
    assert sum(isinstance(each, Busy) for each in coordinator.heard) >= 3


@pytest.mark.parametrize(
    "other",
    [
        task(alone(4), seed=1),
        task(alone(4), study_seed=8),
        task(alone(4), judged_on="test"),
        task(alone(4, optimizer=sgd(lr=0.05))),
    ],
)
def test_the_state_of_another_trial_is_not_used(tmp_path: Path, other: Task) -> None:
    clean = serve(tmp_path / "clean", FakeCoordinator(other))
    serve(tmp_path / "r", FakeCoordinator(task(alone(4)), keep=killed_at(4)))
    assert state(tmp_path / "r")["epoch"] == 2
    assert serve(tmp_path / "r", FakeCoordinator(other)).values == clean.values


@pytest.mark.parametrize("content", [b"", b"torn"])
def test_a_damaged_state_costs_time_only(tmp_path: Path, content: bytes) -> None:
    whole = serve(tmp_path, FakeCoordinator(task(alone()), keep=killed_at(3)))
    state_path(tmp_path, 0).write_bytes(content)
    again = serve(tmp_path, FakeCoordinator(task(alone())))
    assert again.values == whole.values
    (note,) = [each for each in again.heard if isinstance(each, Noted)]
    assert note.trial == 0
    assert note.text.startswith(f"{state_path(tmp_path, 0)} is damaged")
    assert not [each for each in whole.heard if isinstance(each, Noted)]


def nonsense_stepper(state: dict[str, Any]) -> None:
    state["stepper"] = {"networks": "nonsense"}


def nonsense_reports(state: dict[str, Any]) -> None:
    state["reports"][0]["epoch"] = "first"


def missing_report(state: dict[str, Any]) -> None:
    del state["reports"][0]


@pytest.mark.parametrize("damage", [nonsense_stepper, nonsense_reports, missing_report])
def test_a_whole_state_of_nonsense_costs_time_only(
    tmp_path: Path, damage: Callable[[dict[str, Any]], None]
) -> None:
    whole = serve(tmp_path, FakeCoordinator(task(alone()), keep=killed_at(3)))
    path = state_path(tmp_path, 0)
    stored = load_checkpoint(path, state(tmp_path)["digest"])
    assert stored.state is not None
    changed = {**stored.state, "reports": [{**each} for each in stored.state["reports"]]}
    damage(changed)
    save_checkpoint(replace(stored, state=changed), path)
    again = serve(tmp_path, FakeCoordinator(task(alone())))
    assert [each.epoch for each in again.reports] == [1, 2, 3]
    assert again.values == whole.values
    (note,) = [each for each in again.heard if isinstance(each, Noted)]
    assert note.text.startswith(f"{path} is damaged")


def test_a_full_disk_costs_the_state_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object, path: Path) -> None:
        raise folder_error(path, "No space left on device")

    monkeypatch.setattr(trial_checkpoint, "save_checkpoint", full)
    assert [*serve(tmp_path, FakeCoordinator(task(alone()))).values] == [1, 2, 3]
    assert not state_path(tmp_path, 0).exists()


# Pre-training


def doing(coordinator: FakeCoordinator) -> dict[int, list[str]]:
    """What trials said to do, besides their own training, each once."""
    found: dict[int, list[str]] = {}
    for each in coordinator.heard:
        if isinstance(each, Busy) and each.doing not in ("", *found.get(each.trial, ())):
            found.setdefault(each.trial, []).append(each.doing)
    return found


def test_trials_of_a_study_share_what_is_pre_trained(tmp_path: Path) -> None:
    tasks = [task(kd(), trial, seed=trial) for trial in (1, 2)]
    elsewhere = task(kd(), 3, seed=1, study_seed=8)
    coordinator = serve(tmp_path, FakeCoordinator(*tasks, elsewhere))
    assert doing(coordinator) == {1: ["pre-training t"], 3: ["pre-training t"]}
    assert len(coordinator.reports) == 3
    known = [each for each in coordinator.heard if isinstance(each, Pretrained)]
    assert [(each.trial, each.network, each.done.node) for each in known] == [
        (trial, "resnet8", "t") for trial in (1, 2, 3)
    ]
    assert [each.done.cached for each in known] == [False, True, False]
    assert known[0].done.accuracy == known[1].done.accuracy


def test_networks_of_ones_own_are_shared(tmp_path: Path) -> None:
    (tmp_path / "ktgdsl_test_worker_nets.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    )
    call = Call(name="python", arguments={"function": "ktgdsl_test_worker_nets:net"})
    plan = kd(network=call).model_copy(update={"folder": str(tmp_path)})
    first = serve(tmp_path / "r", FakeCoordinator(task(plan)))
    second = serve(tmp_path / "r", FakeCoordinator(task(plan, trial=1, seed=1)))
    assert doing(first) == {0: ["pre-training t"]}
    assert doing(second) == {}
    assert len(list((tmp_path / "cache/pretrained").glob("*.safetensors"))) == 1


# What goes wrong


def test_a_loss_that_is_not_finite_is_a_result(tmp_path: Path) -> None:
    bad = task(alone(4, optimizer=sgd(lr=1e30)))
    coordinator = serve(tmp_path, FakeCoordinator(bad, task(alone(1), trial=1)))
    ended = next(each for each in coordinator.heard if isinstance(each, Diverged))
    assert (ended.trial, ended.epoch) == (0, 1)
    assert "edge label -> a (into node a) became nan at epoch 1 of 4, step " in ended.reason
    assert [each.trial for each in coordinator.reports] == [1]


def test_the_epoch_of_a_late_divergence(tmp_path: Path) -> None:
    # The rate grows by 1e40 after each epoch.
    steps = Call(name="step", arguments={"every": 1, "gamma": 1e40, "warmup": 0})
    plan = alone(optimizer=sgd(lr=1e-3), schedule=steps)
    coordinator = serve(tmp_path, FakeCoordinator(task(plan)))
    assert [each.epoch for each in coordinator.reports] == [1]
    assert [each.epoch for each in coordinator.heard if isinstance(each, Diverged)] == [2]


def test_a_pre_training_that_diverges_is_a_result_too(tmp_path: Path) -> None:
    coordinator = serve(tmp_path, FakeCoordinator(task(kd(optimizer=sgd(lr=1e39)))))
    ended = next(each for each in coordinator.heard if isinstance(each, Diverged))
    assert ended.epoch == 0
    assert ended.reason.startswith("pre-training of node t: the weights of node ")


def test_an_exception_ends_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object, **more: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(worker, "stepper", no_memory)
    coordinator = FakeCoordinator(task(alone(), trial=3))
    Worker(coordinator, CPU, tmp_path).serve()
    _, last = coordinator.heard
    assert isinstance(last, Raised)
    assert (last.trial, last.reason) == (3, "OutOfMemoryError: CUDA out of memory")
    assert not last.problems
    assert "in no_memory\n" in last.trace


def test_a_user_s_mistake_does_not(tmp_path: Path) -> None:
    call = Call(name="python", arguments={"function": "ktgdsl_test_nowhere:net"})
    wrong = tiny_plan("a", settings={"a": {"network": call}}, data=HELD)
    coordinator = serve(tmp_path, FakeCoordinator(task(wrong), task(alone(1), trial=1)))
    first = next(each for each in coordinator.heard if isinstance(each, Raised))
    assert "of node `a` cannot be imported" in first.reason
    assert NodeError.__name__ in first.trace
    assert [(each.code, each.subject) for each in first.problems] == [("E505", Subject("a"))]
    assert [each.trial for each in coordinator.reports] == [1]
