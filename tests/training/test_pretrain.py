"""Pre-training of frozen nodes, and the cache of their weights."""

import errno
import fcntl
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend.networks import make
from ktgdsl.backend.weights import load_weights, save_weights
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, Constant, DataPlan, Plan, PretrainPlan
from ktgdsl.program.pretraining import pretraining_plan
from ktgdsl.training import pretrain, pretrain_cache
from ktgdsl.training.data import Splits, TrainingData, load_splits, load_training_data
from ktgdsl.training.events import (
    EpochDone,
    Event,
    PretrainAwaited,
    PretrainDone,
    PretrainStarted,
)
from ktgdsl.training.loop import epochs
from ktgdsl.training.prepare import stepper
from ktgdsl.training.pretrain import Pretraining, cache_folder
from ktgdsl.training.step import Stepper
from tests import lookalikes, trained
from tests.plans import NARROW, adamw, sgd, tiny_plan, wrn10
from tests.trained import train_plan

CPU = torch.device("cpu")
FROZEN = {"frozen": "no edge enters it"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pretrained"


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that are trained in the test."""
    seen: list[Plan] = []

    def watched(step: Stepper, *data: Any, **options: Any) -> Iterator[EpochDone]:
        seen.append(step.plan)
        return epochs(step, *data, **options)

    monkeypatch.setattr(pretrain, "epochs", watched)
    return seen


def kd(teacher: str = "t", **train: Any) -> Plan:
    """A student and its frozen teacher, one short epoch of large batches."""
    return tiny_plan(
        ["s", teacher],
        [("label", "s"), (teacher, "s")],
        network=NARROW,
        settings={teacher: FROZEN},
        data={"batch": 256},
        **train,
    )


def weights(step: Stepper, node: str) -> dict[str, Tensor]:
    return dict(step.networks[node].state_dict())


def kept(cache: Path) -> list[Path]:
    """What is in the cache, but for the locks."""
    return [path for path in cache.iterdir() if path.suffix != ".lock"]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# The plan


def test_the_plan_is_the_network_alone_on_the_labels() -> None:
    plan = tiny_plan(
        ["s", "t"],
        [("label", "s"), ("t", "s")],
        settings={"t": {**FROZEN, "network": wrn10(), "optimizer": adamw(), "mode": "train"}},
        data={"holdout": True},
        epochs=7,
        clip=2.0,
        repeats=5,
        aggregate="mean",
    )
    own = pretraining_plan(plan, plan.graph.node("t"), seed=9)
    (node,) = own.graph.nodes
    (edge,) = own.graph.edges
    (term,) = edge.terms
    (part,) = term.parts
    assert own.graph.targets == (node.name,) == ("pretrained",)
    assert (node.network, node.frozen, node.weights) == (wrn10(), None, None)
    assert edge.key == ("label", "pretrained")
    assert (part.coefficient, term.gate, edge.scale) == (1, Constant(value=1), 1)
    assert part.loss == Call(name="ce", arguments={"smoothing": 0.0})
    assert own.data == plan.data
    assert (own.train.epochs, own.train.clip) == (7, 2.0)
    assert (own.train.repeats, own.train.seed) == (1, 9)
    assert own.train.optimizer == node.optimizer == adamw()
    assert Plan.from_json(own.to_json()) == own


def test_the_digest_depends_on_what_determines_the_weights_alone() -> None:
    def digest(plan: Plan, name: str = "t", seed: int = 0) -> str:
        return pretraining_plan(plan, plan.graph.node(name), seed).digest

    def with_teacher(**fields: Any) -> Plan:
        return tiny_plan(
            ["s", "t"], [("label", "s"), ("t", "s")], settings={"t": {**FROZEN, **fields}}
        )

    base = digest(with_teacher())
    equal = [
        digest(tiny_plan(["x", "u"], [("x", "u")], settings={"x": FROZEN}), "x"),
        digest(tiny_plan(["s", "t"], settings={"s": {"network": wrn10()}, "t": FROZEN})),
        digest(with_teacher(mode="train")),
        digest(with_teacher(keep=True)),
        digest(tiny_plan(["s", "t"], settings={"t": FROZEN}, repeats=5, aggregate="mean", seed=8)),
        # The block's settings are not read where the node has its own.
        digest(
            tiny_plan(["t"], settings={"t": {**FROZEN, "optimizer": sgd()}}, optimizer=adamw()),
        ),
    ]
    assert set(equal) == {base}
    different = [
        digest(with_teacher(), seed=1),
        digest(with_teacher(network=wrn10())),
        digest(with_teacher(optimizer=sgd(lr=0.05))),
        digest(tiny_plan(["t"], settings={"t": FROZEN}, epochs=2)),
        digest(tiny_plan(["t"], settings={"t": FROZEN}, data={"batch": 32})),
        digest(tiny_plan(["t"], settings={"t": FROZEN}, data={"holdout": True})),
    ]
    assert len({base, *different}) == 1 + len(different)


def test_it_has_settings_of_its_own() -> None:
    """Those of `pretrain`; the data, and the optimiser that the plan gives the node, as ever."""
    plan = tiny_plan(["s", "t"], [("label", "s"), ("t", "s")], settings={"t": FROZEN}, epochs=2)
    fields = {name: getattr(plan.train, name) for name in PretrainPlan.model_fields}
    longer = PretrainPlan(**{**fields, "epochs": 40, "precision": "bf16", "clip": 3.0})
    own = pretraining_plan(
        plan.model_copy(update={"pretrain": longer}), plan.graph.node("t"), seed=9
    )
    assert (own.train.epochs, own.train.precision, own.train.clip) == (40, "bf16", 3.0)
    assert own.train.optimizer == plan.graph.node("t").optimizer
    assert own.pretrain is None
    usual = pretraining_plan(plan, plan.graph.node("t"), seed=9)
    assert usual.train.epochs == 2
    assert usual.digest != own.digest


# The weights


def test_a_frozen_node_has_the_weights_of_training_it_alone(trainings: list[Plan]) -> None:
    plan = kd()
    step = stepper(plan, "cpu", seed=4)
    assert [each.graph.name for each in trainings] == ["pretrained"]
    alone = train_plan(trainings[0], seed=4).stepper
    assert same(weights(step, "t"), weights(alone, "pretrained"))
    network = step.networks["t"]
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_pre_training_happens_once(cache: Path, trainings: list[Plan]) -> None:
    first = stepper(kd(), "cpu")
    second = stepper(kd(), "cpu")
    assert len(trainings) == 1
    (file,) = kept(cache)
    assert file.name.startswith(f"{trainings[0].digest}-")
    assert same(weights(first, "t"), weights(second, "t"))
    stepper(kd(), "cpu", seed=1)
    assert len(trainings) == 2


def test_trainings_with_different_seeds_may_share_it(trainings: list[Plan]) -> None:
    shared = Pretraining(seed=9)
    first = stepper(kd(), "cpu", seed=1, pretraining=shared)
    second = stepper(kd(), "cpu", seed=2, pretraining=shared)
    assert [each.train.seed for each in trainings] == [9]
    assert same(weights(first, "t"), weights(second, "t"))
    assert not same(weights(first, "s"), weights(second, "s"))


def test_equal_networks_share_one_training(trainings: list[Plan]) -> None:
    plan = tiny_plan(
        ["s", "t", "u"],
        [("label", "s"), ("t", "s"), ("u", "s")],
        network=NARROW,
        settings={"t": FROZEN, "u": FROZEN},
        data={"batch": 256},
    )
    step = stepper(plan, "cpu")
    assert len(trainings) == 1
    assert same(weights(step, "t"), weights(step, "u"))


def test_a_module_of_the_caller_counts_as_pre_trained(trainings: list[Plan]) -> None:
    own = make("resnet", {"depth": 8}, 1, 10)
    before = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    step = stepper(kd(), "cpu", networks={"t": own})
    assert not trainings
    assert step.networks["t"] is own
    assert same(weights(step, "t"), before)


def test_the_validation_split_is_held_out_of_pre_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: list[Tensor] = []

    def outer_splits(given: DataPlan, seed: int, device: torch.device) -> Splits:
        splits = load_splits(given, seed, device)
        assert splits.validation is not None
        held.append(splits.validation.image)
        return splits

    def inner_splits(given: DataPlan, seed: int, device: torch.device) -> TrainingData:
        watched = load_training_data(given, seed, device)
        assert watched.evaluation_name == "validation"
        held.append(watched.evaluation.image)
        return watched

    monkeypatch.setattr(trained, "load_splits", outer_splits)
    monkeypatch.setattr(pretrain, "load_training_data", inner_splits)
    plan = tiny_plan(
        ["s", "t"],
        [("label", "s"), ("t", "s")],
        network=NARROW,
        settings={"t": FROZEN},
        data={"batch": 256, "holdout": True},
    )
    train_plan(plan, seed=6)
    outer, inner = held
    assert torch.equal(outer, inner)


def test_it_is_reported_once() -> None:
    events: list[Event] = []
    stepper(kd(), "cpu", listener=events.append)
    first, *_, last = events
    assert isinstance(first, PretrainStarted)
    assert (first.node, first.plan.graph.name) == ("t", "pretrained")
    accuracy = events[-2]
    assert isinstance(accuracy, EpochDone)
    assert last == PretrainDone("t", accuracy.accuracy["pretrained"], "test")
    events.clear()
    stepper(kd(), "cpu", listener=events.append)
    assert events == [replace(last, cached=True)]


def test_a_failure_names_the_node(cache: Path) -> None:
    with pytest.raises(RunError) as caught:
        stepper(kd("teacher", optimizer=sgd(lr=1e30)), "cpu")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E503"
    assert diagnostic.message.startswith("pre-training of node teacher: the loss of ")
    assert not kept(cache)


# The cache


def damage_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def damage_foreign(path: Path) -> None:
    path.write_text("not weights")


def damage_other_network(path: Path) -> None:
    save_weights(make("resnet", {"depth": 8, "width": 4}, 1, 100), path)


@pytest.mark.parametrize("damage", [damage_cut, damage_foreign, damage_other_network])
def test_a_file_that_cannot_be_used_is_replaced(
    cache: Path, trainings: list[Plan], damage: Any
) -> None:
    good = weights(stepper(kd(), "cpu"), "t")
    (file,) = kept(cache)
    damage(file)
    assert same(weights(stepper(kd(), "cpu"), "t"), good)
    assert len(trainings) == 2
    assert load_weights(make("resnet", {"depth": 8, "width": 4}, 1, 10), file) is None


def test_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own" / "pretrained"
    monkeypatch.setenv("KTGDSL_CACHE", "~/own")
    assert cache_folder() == tmp_path / "home" / "own" / "pretrained"
    monkeypatch.delenv("KTGDSL_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "ktgdsl" / "pretrained"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / "home" / ".cache" / "ktgdsl" / "pretrained"


def test_without_a_cache_folder_weights_last_as_long_as_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainings: list[Plan]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "file" / "cache"))
    pretrain._temporary_folder.cache_clear()
    for _ in range(2):
        with pytest.warns(UserWarning, match="set KTGDSL_CACHE to a folder that can be written"):
            stepper(kd(), "cpu")
    assert len(trainings) == 1
    shared = Pretraining(seed=0, folder=tmp_path / "study")
    with pytest.warns(UserWarning, match="only as long as the folder .*study"):
        stepper(kd(), "cpu", pretraining=shared)
    assert len(kept(tmp_path / "study")) == 1


def test_a_full_disk_costs_the_cache_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: nn.Module, path: Path, facts: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(pretrain_cache, "save_weights", full)
    with pytest.warns(UserWarning, match=r"weights of node t cannot be kept in .*No space left"):
        step = stepper(kd(), "cpu")
    monkeypatch.undo()
    monkeypatch.setenv("KTGDSL_CACHE", str(cache.parent))
    assert not kept(cache)
    assert same(weights(step, "t"), weights(stepper(kd(), "cpu"), "t"))


def test_a_second_process_waits_and_loads_the_weights(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainings: list[Plan]
) -> None:
    """An open file has a lock of its own, as if it were another process's."""
    good = weights(stepper(kd(), "cpu"), "t")
    (file,) = kept(cache)
    away = file.rename(tmp_path / "away")
    other = file.with_suffix(".lock").open()
    fcntl.flock(other, fcntl.LOCK_EX)
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if len(events) == 3:
            away.rename(file)
            other.close()

    step = stepper(kd(), "cpu", listener=listen)
    assert events[:-1] == [PretrainAwaited("t")] * 3
    assert isinstance(events[-1], PretrainDone)
    assert events[-1].cached
    assert len(trainings) == 1
    assert same(weights(step, "t"), good)


def test_without_locks_nobody_waits(
    cache: Path, monkeypatch: pytest.MonkeyPatch, trainings: list[Plan]
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    stepper(kd(), "cpu")
    assert len(trainings) == len(kept(cache)) == 1


def test_no_flipped_bit_of_a_file_is_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, trainings: list[Plan]
) -> None:
    """The weights are trained again, to the same ones, with an event that says so."""
    good = weights(stepper(kd(), "cpu"), "t")
    (file,) = kept(cache)
    intact = file.read_bytes()
    monkeypatch.setattr(pretrain, "epochs", no_epochs)
    for place in random.Random(0).sample(range(8 * len(intact)), 60):
        content = bytearray(intact)
        content[place // 8] ^= 1 << place % 8
        file.write_bytes(content)
        with pytest.raises(TrainedError):
            stepper(kd(), "cpu")
    monkeypatch.undo()
    monkeypatch.setenv("KTGDSL_CACHE", str(cache.parent))
    events: list[Event] = []
    assert same(weights(stepper(kd(), "cpu", listener=events.append), "t"), good)
    assert isinstance(events[0], PretrainStarted)
    assert events[0].reason == (
        f"the weights in the cache are damaged, or of another version: {file}"
    )


class TrainedError(Exception):
    pass


def no_epochs(*_: object, **__: object) -> Iterator[EpochDone]:
    raise TrainedError


# What is equal by its content


NETS = """\
from torch import nn
def factory():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.fixture
def module_on_path(tmp_path: Path) -> Iterator[str]:
    name = "ktgdsl_test_pretrain_network"
    (tmp_path / f"{name}.py").write_text(NETS)
    yield name
    sys.modules.pop(name, None)


def own(module: str, tmp_path: Path) -> Plan:
    """A student with a frozen teacher of the user's own code."""
    network = Call(name="python", arguments={"function": f"{module}:factory"})
    return tiny_plan(
        ["s", "t"],
        [("label", "s"), ("t", "s")],
        network=NARROW,
        settings={"t": {**FROZEN, "network": network}},
        data={"batch": 256},
    ).model_copy(update={"folder": str(tmp_path)})


def test_a_teacher_of_changed_code_is_trained_again(
    cache: Path, tmp_path: Path, module_on_path: str, trainings: list[Plan]
) -> None:
    plan, events = own(module_on_path, tmp_path), list[Event]()
    first, second = stepper(plan, "cpu"), stepper(plan, "cpu")
    assert len(trainings) == 1
    assert same(weights(first, "t"), weights(second, "t"))
    path = tmp_path / f"{module_on_path}.py"
    path.write_text(path.read_text() + "# changed\n")
    stepper(plan, "cpu", listener=events.append)
    assert len(trainings) == len(kept(cache)) == 2
    assert isinstance(events[0], PretrainStarted)
    assert events[0].reason == "the weights in the cache are of other code"


@pytest.mark.filterwarnings("ignore:.* is not the published file")
def test_a_teacher_of_other_data_is_not_used(
    cache: Path, tmp_path: Path, trainings: list[Plan]
) -> None:
    """The same spec, with data below another root; and below a third one the first data again."""

    def at(root: str) -> Plan:
        data = {"source": Call(name="mnist"), "root": str(tmp_path / root), "shape": (1, 28, 28)}
        counts = {"train_samples": 20, "test_samples": 10, "batch": 20}
        linear = Call(name="python", arguments={"function": "tests.training.test_pretrain:linear"})
        return tiny_plan(
            ["s", "t"],
            [("label", "s"), ("t", "s")],
            settings={"s": {"network": linear}, "t": {**FROZEN, "network": linear}},
            data={**data, **counts},
        )

    for root in ("one", "two", "copy"):
        lookalikes.idx(tmp_path / root, packed=root == "copy")
    labels = tmp_path / "two" / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.write_bytes(content[:8] + content[:7:-1])
    events: list[Event] = []
    first = stepper(at("one"), "cpu")
    second = stepper(at("two"), "cpu", listener=events.append)
    third = stepper(at("copy"), "cpu")
    assert len(trainings) == len(kept(cache)) == 2
    assert isinstance(events[0], PretrainStarted)
    assert events[0].reason == "the weights in the cache are of other data"
    assert not same(weights(first, "t"), weights(second, "t"))
    assert same(weights(first, "t"), weights(third, "t"))


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
