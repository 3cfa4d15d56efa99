"""Several processes train what one would: each with a part of every batch."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import ktgdsl
from ktgdsl.backend.process_group import ProcessGroup
from ktgdsl.backend.synchronized import synchronize
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.training import group
from ktgdsl.training.datasets.order import part_of, shuffled
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.group import initialized_group, require_equal_parts, require_same_process_count
from tests.forked import Forked
from tests.training import together

COUNT, STEPS = 2, 2

GRAPHS = {
    "gates and a mean over active samples": (
        "node a, b = resnet(depth=8, width=4) target a "
        "edge label -> * edge * -> * : kl via correct",
        "augment = paper labeled = 100",
        "reduce = active clip = 0.5",
    ),
    "in turn, on two views": (
        "node a, b = resnet(depth=8, width=4) target a "
        "edge label -> * edge a -> a : mse via stable",
        "augment = paper views = 2",
        "update = sequential",
    ),
    "relations of samples, and connectors": (
        "node a, b = resnet(depth=8, width=4) target b edge label -> * edge a -> b : rkd "
        "edge a.stage2 -> b.stage2 : hint(connector=conv) edge a.stage3 -> b.stage3 : similarity",
        "",
        "",
    ),
    "a learned combination over a shared trunk": (
        "node a, b = resnet(depth=8, width=4) share a, b { layers = [stem, stage1] } target a "
        "node e = ensemble(a, b, combine=gated(by=a.stage1), detach=false) edge label -> a, b, e "
        "edge e -> a, b : kl(T=3)",
        "",
        "",
    ),
    "labeled and unlabeled, a moving average, dropout": (
        "node a = wrn(depth=10, widen=1, dropout=0.3) node m = ema(a, decay=0.9) target a "
        "edge label -> a edge m -> a : mse(on=probabilities)",
        "augment = paper labeled = 64 labeled_batch = 8",
        "",
    ),
}


def plan(graph: str, data: str = "", train: str = "") -> Plan:
    return complete(
        ktgdsl.loads(
            f"graph g {{ {graph} }} data digits {{ batch = 32 samples = 256 {data} }} "
            f"train {{ epochs = 2 sync_bn = true {train} }}"
        )
    )


def together_in(folder: Path, function: Callable[..., None], *arguments: object) -> list[int]:
    """The exit codes of the processes that call a function together."""
    folder.mkdir()
    started = [
        Forked(function, i, COUNT, folder, *arguments, output=folder / f"{i}.log")
        for i in range(COUNT)
    ]
    return [each.wait(120) for each in started]


def test_losses_and_weights_are_those_of_one_process(tmp_path: Path) -> None:
    plans = [plan(*each) for each in GRAPHS.values()]
    codes = together_in(tmp_path / "m", together.process, [p.to_json() for p in plans], STEPS)
    assert codes == [0] * COUNT, (tmp_path / "m" / "0.log").read_text()
    alone = [together.train(each, STEPS) for each in plans]
    for rank in range(COUNT):
        found = json.loads((tmp_path / "m" / f"{rank}.json").read_text())
        for name, one, several in zip(GRAPHS, alone, found, strict=True):
            assert len(one[0]) == STEPS
            for want, got in zip(one[0], several[0], strict=True):
                assert got == pytest.approx(want, rel=1e-9), name
            assert several[1].keys() == one[1].keys()
            for key, values in one[1].items():
                assert several[1][key] == pytest.approx(values, rel=1e-6, abs=1e-9), (name, key)


def test_a_run_of_several_is_that_of_one_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    taught = plan(
        "node t = resnet(depth=8, width=4) { frozen = true } node s = resnet(depth=8, width=4) "
        "target s edge label -> s edge t -> s : kl(T=4)",
        "validation = 64 holdout = true",
    )
    out = tmp_path / "several"
    folders = [tmp_path / "first", tmp_path / "second"]
    leader, other = together_in(folders[0], together.interrupted_as, taught.to_json(), out)
    assert leader == 0, (folders[0] / "0.log").read_text()
    assert other != 0  # left alone, it does not go on
    assert not (out / "result.json").exists()
    codes = together_in(folders[1], together.resume_as, out)
    assert codes == [0] * COUNT, (folders[1] / "0.log").read_text()
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 4
    assert json.loads((out / "environment.json").read_text())["processes"] == COUNT
    alone = ktgdsl.run(taught, out=tmp_path / "alone")
    found = json.loads((out / "result.json").read_text())
    for name, node in alone.nodes.items():
        # In float32, in which sums of parts round otherwise.
        assert found["nodes"][name]["accuracy"]["mean"] == pytest.approx(node.accuracy.mean, abs=5)


def test_parts_of_batches_are_the_rows_of_each_process() -> None:
    order = shuffled(40, 8, seed=0, epoch=1, drop_last=True)
    parts = [part_of(order, ProcessGroup(2, rank)) for rank in range(2)]
    for (rows, part), start in zip(parts, (0, 4), strict=True):
        assert part.batch == 4
        want = order.sample.view(5, 8)[:, start : start + 4].flatten()
        assert torch.equal(part.sample, want)
        assert torch.equal(order.sample[rows], want)


def test_layers_that_networks_share_stay_shared() -> None:
    norm = nn.BatchNorm1d(3)
    one, other = nn.Sequential(norm), nn.Sequential(nn.Linear(3, 3), norm)
    synchronize([one, other], norms=True)
    assert one[0] is other[1]
    assert one[0] is not norm
    assert one[0].weight is norm.weight
    assert one[0].running_mean is norm.running_mean


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("batch = 33", "a batch of 33 samples has no equal parts for 2 processes"),
        ("drop_last = false samples = 101", "the last batch of 37 samples has no equal parts"),
    ],
)
def test_batches_without_equal_parts_are_refused(
    data: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "process_group", lambda: ProcessGroup(2, 0))
    spec = f"graph g {{ node a = resnet8 target a edge label -> a }} data digits {{ {data} }}"
    with pytest.raises(RunError, match=message):
        require_equal_parts(complete(ktgdsl.loads(spec)), torch.device("cpu"))


def test_another_number_of_processes_resumes_only_with_synchronised_norms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group, "process_group", lambda: ProcessGroup(2, 0))
    synchronised = plan("node a = resnet8 target a edge label -> a")
    require_same_process_count(synchronised, 4)
    train = synchronised.train.model_copy(update={"sync_bn": False})
    own = synchronised.model_copy(update={"train": train})
    require_same_process_count(own, 2)
    with pytest.raises(RunError, match="begun by 4 processes, and 2 processes would go on"):
        require_same_process_count(own, 4)


def test_weights_that_differ_end_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "process_group", lambda: ProcessGroup(2, 0))
    monkeypatch.setattr(group, "sum_in_place", lambda *_: None)
    monkeypatch.setattr(group, "all_equal", lambda _: False)
    with pytest.raises(RunError, match="2 processes have different weights after epoch 3"):
        group.synchronize([nn.Linear(1, 1)], 3)


def test_without_torchrun_nothing_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("RANK", "1")  # of another program
    assert group.torchrun_rank() == 0
    with initialized_group(torch.device("cpu")) as device:
        assert device == torch.device("cpu")
        assert not torch.distributed.is_initialized()
