"""Deterministic runs: bit-equal, without fast paths, also when resumed; and refused operators."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import build
from ktgdsl.backend.targets import target_losses
from ktgdsl.cli import main as cli
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Call, Plan
from ktgdsl.searching.workers.protocol import Raised
from ktgdsl.searching.workers.worker import Worker
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.events import EpochDone, Event
from ktgdsl.training.execution import choose_execution
from ktgdsl.training.repeats import RunInterrupted
from ktgdsl.training.run import resume, run
from tests.paths import ROOT
from tests.plans import tiny_plan
from tests.searching.workers.test_worker import FakeCoordinator, Killed, task
from tests.training.test_run import interrupt, metrics, pair

CPU = torch.device("cpu")


class Putting(nn.Module):
    """Logits by an operator for which torch has no deterministic algorithm anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(10))

    def forward(self, image: Tensor) -> Tensor:
        """(B, ...) to (B, 10)."""
        zeros = torch.zeros(10).put_(torch.tensor([0]), torch.tensor([1.0]))
        return (self.weight + zeros).expand(len(image), 10)


PUTTING = Call(name="python", arguments={"function": "tests.training.test_deterministic:Putting"})


def switches() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark


def test_torchs_switches_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with deterministically(True):
        assert switches() == (True, False)
    assert switches() == (False, True)
    with deterministically(False):
        assert switches() == (False, True)
    with pytest.raises(ZeroDivisionError), deterministically(True):
        1 / 0  # noqa: B018
    assert switches() == (False, True)


def test_edges_and_networks_are_computed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    plan = tiny_plan("ab", [("label", "a"), ("label", "b"), ("b", "a")])
    with deterministically(True):
        graph, networks = build(plan), choose_execution(plan, CPU).networks
    assert target_losses not in {node.target for node in graph.graph.nodes}
    assert (networks.value, networks.why) == (
        "one by one",
        "deterministic algorithms are asked for",
    )
    assert target_losses in {node.target for node in build(plan).graph.nodes}


def weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "nodes").iterdir()}


def test_two_runs_are_the_same_to_the_bit(tmp_path: Path) -> None:
    for name in ("one", "two"):
        run(pair(), out=tmp_path / name, device="cpu", deterministic=True)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    first, second = (
        [{**line, "seconds": None} for line in metrics(tmp_path / name)] for name in ("one", "two")
    )
    assert first == second


def test_a_resumed_run_is_deterministic_if_it_was_before(tmp_path: Path) -> None:
    seen: list[bool] = []

    def listen(event: Event) -> None:
        if isinstance(event, EpochDone):
            seen.append(torch.are_deterministic_algorithms_enabled())

    run(pair(epochs=2), out=tmp_path / "whole", device="cpu", deterministic=True)
    with pytest.raises(RunInterrupted):
        run(
            pair(epochs=2),
            out=tmp_path / "cut",
            device="cpu",
            deterministic=True,
            listener=interrupt(after=1),
        )
    resume(tmp_path / "cut", listener=listen)
    assert seen == [True]
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    environment = json.loads((tmp_path / "cut/environment.json").read_text())
    assert environment["deterministic"] is True
    assert [each["deterministic"] for each in environment["resumed"]] == [True]


def putting(**data: Any) -> Plan:
    return tiny_plan("ab", settings={"a": {"network": PUTTING}}, data=data, epochs=1)


SAYS = "`--deterministic` is not possible: put_ does not have a deterministic implementation"


def test_an_operator_without_a_deterministic_algorithm_is_named(tmp_path: Path) -> None:
    run(putting(), out=tmp_path / "any", device="cpu")
    with pytest.raises(RunError) as caught:
        run(putting(), out=tmp_path / "same", device="cpu", deterministic=True)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.message) == ("E504", SAYS)
    assert not (tmp_path / "same").exists()


def test_a_search_worker_reports_such_an_operator(tmp_path: Path) -> None:
    coordinator = FakeCoordinator(task(putting(holdout=True)))
    with pytest.raises(Killed):  # when there is no other task
        Worker(coordinator, CPU, tmp_path, deterministic=True).serve()
    (raised,) = (each for each in coordinator.heard if isinstance(each, Raised))
    assert raised.reason == SAYS


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    out = str(tmp_path / "r")
    given = ["run", "specs/vanilla.ktg", "--epochs=1", "--out", out, "--deterministic", "--quiet"]
    assert cli.main(given) == 0
    assert json.loads((tmp_path / "r/environment.json").read_text())["deterministic"] is True
    capsys.readouterr()
    assert cli.main(["run", "--resume", out, "--deterministic"]) == 2
    assert "goes on with a run as it is, without --deterministic" in capsys.readouterr().err
