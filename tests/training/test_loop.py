"""A training with one seed: its epochs and events, how it resumes, and losses not finite."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, Edge, Plan
from ktgdsl.training.batches import batches_in_order
from ktgdsl.training.data import load_splits, load_training_data
from ktgdsl.training.events import EpochDone, Event, StepsDone
from ktgdsl.training.loop import ResumePoint, epochs
from ktgdsl.training.metrics import evaluate
from ktgdsl.training.prepare import stepper
from ktgdsl.training.step import Stepper
from tests.plans import CORRECT, NARROW, edge, sgd, tiny_plan
from tests.trained import Trained, train_plan
from tests.training.test_metrics import Reads
from tests.training.test_step import operators

CPU = torch.device("cpu")
PAIR: list[Edge | tuple[str, str]] = [("label", "a"), ("label", "b"), edge("b", "a", CORRECT)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def pair(**train: Any) -> Plan:
    """Two nodes, b teaches a, ten steps an epoch."""
    return tiny_plan("ab", PAIR, network=NARROW, data={"batch": 128}, **train)


def weights(trained: Trained) -> Iterator[Tensor]:
    for network in trained.stepper.networks.values():
        yield from network.state_dict().values()


def right(trained: Trained, name: str) -> float:
    """Top-1 in percent on the test split, counted image by image."""
    network = trained.stepper.networks[name].eval()
    test = load_splits(trained.stepper.plan.data, 0, CPU).test
    with torch.no_grad():
        hits = [
            int(scores.argmax()) == int(wanted)
            for image, label in batches_in_order(test, 100)
            for scores, wanted in zip(network(image), label, strict=True)
        ]
    assert len(hits) == 500
    return 100 * sum(hits) / 500


def test_a_training_learns_and_reports_accuracies() -> None:
    events: list[Event] = []
    plan = tiny_plan("ab", PAIR, data={"batch": 128}, epochs=3)
    trained = train_plan(plan, listener=events.append)
    epochs_done = [event for event in events if isinstance(event, EpochDone)]
    assert [event.epoch for event in epochs_done] == [1, 2, 3]
    assert {event.split for event in epochs_done} == {"test"}
    assert all(event.metrics.steps == 10 for event in epochs_done)
    assert epochs_done[2].metrics.loss["a"] < epochs_done[0].metrics.loss["a"] / 2
    assert epochs_done[2].learning_rate == {"a": 0.1, "b": 0.1}
    assert trained.accuracy.validation is None
    assert trained.accuracy.test == epochs_done[2].accuracy
    assert trained.accuracy.test["a"] > 80  # ten classes: chance is 10
    for name in ("a", "b"):
        assert trained.accuracy.test[name] == pytest.approx(right(trained, name))


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({"batch": 200}, [256, 244]),
        ({"batch": 400}, [400, 100]),
        ({"batch": 400, "evaluation_batch": 200}, [200, 200, 100]),
    ],
)
def test_the_sizes_of_batches(
    settings: dict[str, Any], sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def counted(answers: Any, drawn: Any, *_: object) -> dict[str, float]:
        seen.extend(len(label) for _, label in drawn)
        return dict.fromkeys(answers.nodes, 0.0)

    monkeypatch.setattr("ktgdsl.training.loop.evaluate", counted)
    events: list[Event] = []
    data = {"drop_last": False, **settings}
    small = {"a": {"network": Call(name="python", arguments={"function": f"{__name__}:linear"})}}
    train_plan(tiny_plan("a", settings=small, data=data), listener=events.append)
    (done,) = (event for event in events if isinstance(event, EpochDone))
    assert seen == sizes
    assert done.metrics.steps == -(-1297 // data["batch"])


def test_the_loss_of_a_node_is_the_sum_over_its_edges() -> None:
    """Eq. 3: a node's loss is the sum over its edges."""
    events: list[Event] = []
    train_plan(pair(), listener=events.append)
    metrics = next(event for event in events if isinstance(event, EpochDone)).metrics
    edges = metrics.edges
    total = edges[("label", "a")].loss + edges[("b", "a")].loss
    assert metrics.loss["a"] == pytest.approx(total, rel=1e-6)
    assert edges[("label", "a")].open == 1.0
    # b's right answers are what opens the edge from it.
    assert edges[("b", "a")].open == pytest.approx(metrics.accuracy["b"] / 100, abs=1e-6)


def test_steps_are_reported_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("ktgdsl.training.epoch_steps.time.monotonic", lambda: next(clock) * 0.04)
    events: list[Event] = []
    train_plan(pair(), listener=events.append)
    # A look at the clock every 0.04 s: at least 0.1 s have passed at every third.
    assert [event.step for event in events if isinstance(event, StepsDone)] == [3, 6, 9]


def test_under_holdout_the_test_split_is_evaluated_once_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def counted(networks: Any, batches: Any, *_: object) -> dict[str, float]:
        kept = list(batches)
        sizes.append(sum(len(label) for _, label in kept))
        return evaluate(networks, kept)

    monkeypatch.setattr("ktgdsl.training.loop.evaluate", counted)
    events: list[Event] = []
    plan = tiny_plan("a", network=NARROW, data={"batch": 128, "holdout": True}, epochs=2)
    trained = train_plan(plan, listener=events.append)
    assert sizes == [259, 259, 500]
    epochs_done = [event for event in events if isinstance(event, EpochDone)]
    assert {event.split for event in epochs_done} == {"validation"}
    assert trained.accuracy.validation == epochs_done[-1].accuracy
    assert trained.accuracy.test["a"] == pytest.approx(right(trained, "a"))


def test_a_frozen_node_is_evaluated_and_not_changed() -> None:
    plan = tiny_plan(
        "st",
        [("label", "s"), ("t", "s")],
        network=NARROW,
        settings={"t": {"frozen": "no edge enters it"}},
        data={"batch": 256},
        epochs=2,
    )
    states: list[list[Tensor]] = []

    def keep(_: EpochDone, step: Stepper) -> None:
        states.append([one.clone() for one in step.networks["t"].state_dict().values()])

    events: list[Event] = []
    train_plan(plan, listener=events.append, on_epoch=keep)
    last = [event for event in events if isinstance(event, EpochDone)][-1]
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
    assert set(last.accuracy) == {"s", "t"}
    assert set(last.metrics.loss) == set(last.learning_rate) == {"s"}


def test_a_resumed_training_is_bit_equal() -> None:
    plan = pair(epochs=3)
    states: list[Any] = []

    def keep(_: EpochDone, step: Stepper) -> None:
        # A state holds the tensors themselves, which training goes on to change.
        states.append(deepcopy(step.state_dict()))

    whole = train_plan(plan, seed=3, on_epoch=keep)
    for cut in (1, 3):
        events: list[Event] = []
        resume = ResumePoint(cut, states[cut - 1])
        rest = train_plan(plan, seed=3, listener=events.append, resume=resume)
        epochs_done = [event.epoch for event in events if isinstance(event, EpochDone)]
        assert epochs_done == [*range(cut + 1, 4)]
        assert rest.accuracy == whole.accuracy
        for one, other in zip(weights(whole), weights(rest), strict=True):
            assert torch.equal(one, other)


def test_no_epoch_is_trained_before_it_is_asked_for() -> None:
    plan = tiny_plan("ab", network=NARROW, data={"batch": 256, "holdout": True}, epochs=3)
    step = stepper(plan, CPU, seed=0)
    training = epochs(step, load_training_data(plan.data, 0, CPU), seed=0, evaluated=["b"])
    assert step.taken == 0
    for number in (1, 2, 3):
        done = next(training)
        assert (done.epoch, done.split, [*done.accuracy]) == (number, "validation", ["b"])
        assert step.taken == 4 * number
    assert next(training, None) is None


def test_epochs_one_by_one_are_those_of_a_training() -> None:
    plan = pair(epochs=2)
    whole = train_plan(plan, seed=1)
    step = stepper(plan, CPU, seed=1)
    last = [*epochs(step, load_training_data(plan.data, 1, CPU), seed=1)][-1]
    assert last.accuracy == whole.accuracy.test


def test_a_state_of_another_training_is_refused() -> None:
    with pytest.raises(RunError, match="does not fit its plan") as raised:
        train_plan(pair(), resume=ResumePoint(1, {"taken": 10, "networks": {}}))
    assert [one.code for one in raised.value.diagnostics] == ["E502"]


# Losses that are not finite


def test_a_loss_that_is_not_finite_is_named() -> None:
    plan = pair(epochs=4, optimizer=sgd(lr=1e30))
    with pytest.raises(RunError) as raised:
        train_plan(plan)
    (found,) = raised.value.diagnostics
    assert found.code == "E503"
    # The first step still has the initial weights; after it they are beyond repair.
    assert "edge label -> a (into node a) became nan at epoch 1 of 4, step 2 of 40" in found.message
    assert found.help is not None
    assert "learning rate" in found.help


def test_weights_that_are_not_finite_after_the_last_step_are_an_error() -> None:
    plan = tiny_plan("a", data={"batch": 1297}, optimizer=sgd(lr=1e39))
    with pytest.raises(RunError, match="weights of node a are not finite after epoch 1, step 1"):
        train_plan(plan)


# Speed


def test_the_host_does_not_wait_within_an_epoch() -> None:
    """Twice the steps in an epoch do not bring one more number to the host."""

    def transfers(batch: int) -> int:
        plan = tiny_plan("ab", PAIR, network=NARROW, data={"batch": batch}, clip=1.0)
        with Reads() as reads:
            seen = operators(lambda: train_plan(plan))
        below = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select")
        found: int = sum(seen[name] for name in below)
        return found + int(reads.count)

    assert transfers(256) == transfers(128) > 0
