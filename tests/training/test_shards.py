"""`shard` weighs samples by their numbers in the training split, however steps are computed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import kl_div

from ktgdsl.backend.graph import build
from ktgdsl.backend.output import Output
from ktgdsl.backend.side_by_side import side_by_side
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import program_of
from ktgdsl.training.batches import numbered_batches
from ktgdsl.training.data import load_splits
from ktgdsl.training.events import EpochDone
from ktgdsl.training.execution import Choice, choose_execution
from ktgdsl.training.loop import ResumePoint
from ktgdsl.training.prepare import stepper
from ktgdsl.training.step import Stepper
from tests.specs import sound
from tests.trained import train_plan
from tests.training.test_captured import FakeRecording

CPU = torch.device("cpu")
SHARDS = "edge b -> a via shard(0, 3)\nedge a -> b via shard(1, 3) * linear"


def plan(edges: str = SHARDS, train: str = "") -> Plan:
    return sound(
        f"graph g {{ node a, b = resnet8 target a edge label -> * {edges} }}"
        "data digits { batch = 16 samples = 64 }"
        f"train {{ epochs = 2 {train} }}"
    )


def batch() -> tuple[Tensor, Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    image = torch.rand(8, 1, 8, 8, generator=stream)
    return image, torch.arange(8), torch.tensor([0, 3, 4, 31, 30, 2, 5, 7])


def divergences(output: Output, source: str, destination: str) -> Tensor:
    s, t = (output.logits[each].double().log_softmax(1) for each in (source, destination))
    return kl_div(t, s, reduction="none", log_target=True).sum(1)


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
def test_an_edge_is_open_to_the_samples_of_its_shard(update: str) -> None:
    # Then only one of two updates in turn reads the numbers.
    step = stepper(plan("edge b -> a via shard(0, 3)", f"update = {update}"), "cpu")
    output = step(*batch())
    # 0, 3 and 30 are divisible by 3.
    mean = divergences(output, "b", "a")[[0, 1, 4]].sum() / 8
    torch.testing.assert_close(output.edges["b", "a"].double(), mean, rtol=1e-5, atol=1e-7)
    assert output.open["b", "a"].item() == 3 / 8


def test_only_a_graph_that_reads_the_numbers_takes_them() -> None:
    def inputs(edges: str) -> list[str]:
        return [node.name for node in build(plan(edges)).graph.nodes if node.op == "placeholder"]

    assert inputs("edge b -> a via correct") == ["image", "label", "progress"]
    assert inputs(SHARDS) == ["image", "label", "progress", "sample"]


def test_a_step_without_the_numbers_says_what_is_missing() -> None:
    step = stepper(plan(), "cpu")
    with pytest.raises(TypeError, match=r"`step\(image, label, sample\)`"):
        step(*batch()[:2])
    assert step.taken == 0


def test_networks_side_by_side_give_the_same() -> None:
    graph = build(plan())
    image, label, sample = batch()
    wanted = graph(image, label, torch.tensor(0.5), sample)
    output = side_by_side(graph, 1)(image, label, torch.tensor(0.5), sample)
    for key, value in wanted.edges.items():
        torch.testing.assert_close(output.edges[key], value)


def test_a_captured_step_reads_the_numbers_of_its_own_batch() -> None:
    def losses(launches: str) -> list[float]:
        made = build(plan(), seed=0).networks
        execution = replace(
            choose_execution(plan(), CPU),
            networks=Choice("one by one", "a test"),
            launches=Choice(launches, "a test"),
        )
        step = Stepper(plan(), program_of(plan()), made, CPU, execution, record=FakeRecording)
        image, label, sample = batch()
        outputs = [step(image, label, sample + shift) for shift in range(3)]
        return [each.edges["b", "a"].item() for each in outputs]

    assert losses("captured") == pytest.approx(losses("each"), rel=1e-4)


def test_a_run_numbers_its_samples_and_resumes_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path))

    def keep(done: EpochDone, step: Stepper) -> None:
        torch.save(step.state_dict(), tmp_path / f"{done.epoch}.pt")

    whole = train_plan(plan(), on_epoch=keep)
    state = torch.load(tmp_path / "1.pt", weights_only=True)
    resumed = train_plan(plan(), resume=ResumePoint(1, state))
    for name, network in whole.stepper.networks.items():
        others = resumed.stepper.networks[name].state_dict()
        assert all(torch.equal(value, others[key]) for key, value in network.state_dict().items())
    # By hand: the same steps on the numbered batches of both epochs.
    step = stepper(plan(), "cpu", seed=0)
    split = load_splits(plan().data, 0, CPU).train
    for epoch in (1, 2):
        for image, label, sample in numbered_batches(split, 16, 0, epoch):
            step(image, label, sample)
    for name, network in whole.stepper.networks.items():
        others = step.networks[name].state_dict()
        assert all(torch.equal(value, others[key]) for key, value in network.state_dict().items())
