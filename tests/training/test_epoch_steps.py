"""Checkpoints inside of an epoch: a training goes on from any step to the same bits."""

import io
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import ktgdsl
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.report.run_text import plain_run_listener
from ktgdsl.training import epoch_steps, loop
from ktgdsl.training.batches import numbered_batches
from ktgdsl.training.checkpoint import load_checkpoint, save_checkpoint
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.deferred_signals import deferred_signals
from ktgdsl.training.events import EpochDone, Event, RunStarted, StepsDone
from ktgdsl.training.loop import ResumePoint
from ktgdsl.training.repeats import RunInterrupted
from ktgdsl.training.run import resume, run
from tests.trained import Trained, train_plan
from tests.training import together
from tests.training.test_group import together_in
from tests.training.test_run import assert_equal_runs, kill

SMALL = 'python("tests.training.test_run:small")'
TRAININGS = {
    "dropout, a moving average, labeled and unlabeled": (
        "node a = wrn(depth=10, widen=1, dropout=0.3) node m = ema(a, decay=0.9) target a "
        "edge label -> a edge m -> a : mse(on=probabilities) via rampup(60%)",
        "augment = paper labeled = 32 labeled_batch = 8 drop_last = false",
        "schedule = cosine(warmup=1)",
        "",
    ),
    "in turn, on two views, with connectors": (
        "node a, b = resnet(depth=8, width=4) target a edge label -> * "
        "edge a -> a : mse via stable edge a.stage2 -> b.stage2 : hint(connector=conv)",
        "augment = paper views = 2",
        "update = sequential optimizer = adamw",
        "",
    ),
    "phases that keep the best epoch or end early": (
        f"node a, b = {SMALL} target a edge label -> * edge b -> a : kl via correct",
        "validation = 20 holdout = true",
        "schedule = plateau(patience=1)",
        "phase one { learn = [b] epochs = 2 take = best } "
        "phase two { learn = [a] epochs = 3 stop = patience(1) }",
    ),
    "kept outputs, a smaller last batch, metrics": (
        f"node t = {SMALL} {{ frozen = true cache = outputs }} node a = {SMALL} target a "
        "edge label -> a edge t -> a : kl(T=2)",
        "drop_last = false",
        "metrics = [top5]",
        "pretrain { epochs = 1 }",
    ),
}


def plan_of(
    graph: str, data: str = "", train: str = "", phases: str = "", samples: int = 120
) -> Plan:
    """Three or four steps an epoch."""
    text = (
        f"graph g {{ {graph} }} data digits {{ batch = 32 samples = {samples} {data} }} "
        f"train {{ epochs = 2 {train} }} {phases}"
    )
    return complete(ktgdsl.loads(text))


class Kept:
    """The states of a training at the steps at which it is kept, by epochs and steps done."""

    def __init__(self) -> None:
        self.states: dict[tuple[int, int], bytes] = {}

    def __call__(self, epoch: int, step: int, state: Mapping[str, Any]) -> None:
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        self.states[epoch, step] = buffer.getvalue()

    def resume_point(self, epoch: int, step: int) -> ResumePoint:
        stored = io.BytesIO(self.states[epoch, step])
        return ResumePoint(epoch, torch.load(stored, weights_only=True))


def assert_equal_bits(one: Trained, other: Trained) -> None:
    assert one.accuracy == other.accuracy
    modules = one.stepper.networks | one.stepper.mixers
    for name, module in modules.items():
        others = (other.stepper.networks | other.stepper.mixers)[name].state_dict()
        for key, value in module.state_dict().items():
            assert torch.equal(value, others[key]), (name, key)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_goes_on_from_any_step(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))
    graph, data, train, phases = TRAININGS[name]
    plan = plan_of(graph, data, f"checkpoint = 1 step {train}", phases)
    kept, epochs = Kept(), []
    whole = train_plan(plan, on_steps=kept, on_epoch=lambda done, _: epochs.append(done))
    steps = plan.data.steps_per_epoch
    assert steps >= 3
    assert set(kept.states) == {(e, s) for e in range(len(epochs)) for s in range(1, steps)}
    for epoch, step in ((0, 1), (1, steps - 1), (len(epochs) - 1, 1)):
        again: list[EpochDone] = []
        resumed = train_plan(
            plan,
            resume=kept.resume_point(epoch, step),
            on_epoch=lambda done, _, again=again: again.append(done),  # type: ignore[misc]
        )
        assert again == epochs[epoch:]
        assert_equal_bits(resumed, whole)


# Runs


def small() -> Plan:
    """A checkpoint after the second of three steps, the first of the next epoch, and so on."""
    graph = f"node a, b = {SMALL} target a edge label -> * edge b -> a : kl"
    return plan_of(graph, train="checkpoint = 2 steps")


def interrupted(folder: Path, listener: Callable[[Event], None]) -> str:
    with pytest.raises(RunInterrupted) as stop:
        run(small(), out=folder, device="cpu", listener=listener)
    kept = load_checkpoint(folder / "checkpoint.pt", small().digest)
    assert (stop.value.epoch, stop.value.step) == (kept.epoch, kept.step)
    return str(stop.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steps") / "whole"
    run(small(), out=folder, device="cpu")
    return folder


def test_a_run_keeps_the_step_at_which_it_is_interrupted(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_steps, "REPORT_INTERVAL", 0)
    for number, (at, kept) in enumerate(
        {
            StepsDone(1, 1): "0 of 2 epochs and 1 step of the next are",
            StepsDone(2, 3): "1 of 2 epochs and 3 steps of the next are",  # before it is evaluated
        }.items()
    ):

        def interrupt(event: Event, at: Event = at) -> None:
            if event == at:
                raise KeyboardInterrupt

        folder = tmp_path / str(number)
        assert f"interrupted; {kept} kept in {folder}," in interrupted(folder, interrupt)
        heard: list[Event] = []
        resume(folder, listener=heard.append)
        assert isinstance(heard[0], RunStarted)
        assert (heard[0].epoch, heard[0].step) == (at.epoch - 1, at.step)
        assert_equal_runs(folder, whole)


def test_an_evaluation_that_is_interrupted_costs_no_step(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(loop, "evaluate_and_measure", lambda *_: signal.raise_signal(signal.SIGINT))
        interrupted(tmp_path / "r", lambda _: None)
    lines: list[str] = []
    resume(tmp_path / "r", listener=plain_run_listener(lines.append))
    assert lines[0].endswith(", going on after step 3 of epoch 1")
    assert_equal_runs(tmp_path / "r", whole)


def test_an_interrupt_before_the_first_step_of_an_epoch_keeps_those_before(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the epoch's own end was no step at which there is a checkpoint."""

    def stuck(*arguments: Any, **options: Any) -> Any:
        if arguments[3] == 2:
            raise KeyboardInterrupt
        return numbered_batches(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(epoch_steps, "numbered_batches", stuck)
        assert "; 1 of 2 epochs are kept" in interrupted(tmp_path / "r", lambda _: None)
    resume(tmp_path / "r")
    assert_equal_runs(tmp_path / "r", whole)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended by SIGKILL while it wrote its last checkpoint, at the end."""
    folder = tmp_path_factory.mktemp("killed") / "r"
    kill(small(), folder, "checkpoint.pt", 3)
    return folder


def test_after_kill_9_a_run_goes_on_inside_of_its_epoch(
    tmp_path: Path, whole: Path, killed: Path
) -> None:
    kept = load_checkpoint(killed / "checkpoint.pt", small().digest)
    assert (kept.epoch, kept.step) == (1, 1)
    resume(shutil.copytree(killed, tmp_path / "r"))
    assert_equal_runs(tmp_path / "r", whole)


@pytest.mark.parametrize("change", [{"step": 4}, {"epoch": 2}, {"step": 0, "epoch": 0}])
def test_progress_that_cannot_be_is_refused(
    tmp_path: Path, killed: Path, change: dict[str, int]
) -> None:
    path = shutil.copytree(killed, tmp_path / "r") / "checkpoint.pt"
    kept = load_checkpoint(path, small().digest)
    save_checkpoint(replace(kept, **change), path)  # type: ignore[arg-type]  # numbers
    with pytest.raises(RunError, match="cannot be read as a checkpoint"):
        resume(tmp_path / "r")


def test_several_processes_go_on_each_with_its_own_statistics(tmp_path: Path) -> None:
    """Batch norms that are not synchronised have other ones in each, not averaged yet."""
    plan = plan_of("node a = resnet(depth=8, width=4) target a edge label -> a", samples=128)
    folder = tmp_path / "m"
    codes = together_in(folder, together.resumed_inside_an_epoch, plan.to_json())
    assert codes == [0, 0], (folder / "0.log").read_text()


# Signals


def signals_until_interrupted(signals: int) -> int:
    """How many of so many signals in a row are held back."""
    survived = 0
    try:
        with deferred_signals():
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)
                survived += 1
    except KeyboardInterrupt:
        return survived
    raise AssertionError("it was never interrupted")


def test_a_signal_waits_for_the_end_of_a_step() -> None:
    assert signals_until_interrupted(1) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_signal_does_not() -> None:
    assert signals_until_interrupted(3) == 1


def test_a_signal_that_nobody_handles_is_left_alone() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray's tests leave its own
    try:
        with deferred_signals():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_group_stops_after_one_step_and_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """A signal to one in step 4 of 5; the other looks for it after that step or the next."""
    spec = (f"node a = {SMALL} target a edge label -> a", "augment = paper")
    plan = plan_of(*spec, "checkpoint = 1000 steps", samples=160)
    folder = tmp_path / "group"
    codes = together_in(folder, together.stopped_and_resumed, plan.to_json())
    assert codes == [0, 0], (folder / "0.log").read_text()
    stops = [(folder / f"{rank}.txt").read_text() for rank in range(2)]
    assert stops in (["1 1", "1 1"], ["1 2", "1 2"])
    assert_equal_runs(folder / "stopped", folder / "whole")
