"""The networks of the best trials: who is kept, after a kill as well, and what a worker writes."""

import json
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

import ktgdsl
from ktgdsl.backend.weights import load_weights
from ktgdsl.report.space_cost import space_cost
from ktgdsl.searching import search_run
from ktgdsl.searching.estimate import network_bytes
from ktgdsl.searching.events import Event, TrialEnded
from ktgdsl.searching.search import resume
from ktgdsl.searching.search_run import SearchOutcome
from ktgdsl.searching.workers.protocol import Message, Task, networks_path
from ktgdsl.training.result import RunResult
from tests.plans import sgd
from tests.searching.test_search import SPACE, Pretended
from tests.searching.workers.test_worker import FakeCoordinator, alone, linear, serve, task
from tests.specs import sound


class Leaving(Pretended):
    """Workers that leave networks, with the number of the trial for weights."""

    folder = Path()
    last = 4
    """The last epoch."""

    def __init__(self, workers: int, devices: list[str], folder: Path, **more: Any) -> None:
        super().__init__(workers, devices, folder, **more)
        Leaving.folder = folder

    def fate(self, task: Task, epoch: int) -> Message | None:
        if task.leaves_networks and epoch == self.last:
            path = networks_path(self.folder, task.trial)
            path.mkdir(parents=True, exist_ok=True)
            (path / "weights").write_text(str(task.trial))
        return None


@pytest.fixture(autouse=True)
def _leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_run, "Pool", Leaving)


def kept(folder: Path) -> dict[int, str]:
    """What is kept of trials, by their number."""
    found = ((path.name, path / "weights") for path in folder.glob("kept/*"))
    return {int(name.removeprefix("trial-")): path.read_text() for name, path in found}


def best(found: SearchOutcome, count: int) -> list[int]:
    """The best trials by value, of equal ones the earlier, from the study alone."""
    complete = [t for t in found.study.trials if t.state == TrialState.COMPLETE]
    return [t.number for t in sorted(complete, key=lambda t: (-(t.value or 0), t.number))[:count]]


def space(more: str) -> str:
    return SPACE.replace("search { trials = 6 }", f"search {{ trials = 8 {more} }}")


@pytest.mark.parametrize("count", [2, 100])
def test_the_networks_of_the_best_are_kept(tmp_path: Path, count: int) -> None:
    seen: list[dict[int, str]] = []

    def look(event: Event) -> None:
        if isinstance(event, TrialEnded):
            seen.append(kept(tmp_path / "out"))

    plan = sound(space(f"keep = {count}  pruner = none"))
    found = ktgdsl.search(plan, out=tmp_path / "out", workers=2, listener=look)
    numbers = best(found, count)
    assert kept(tmp_path / "out") == {number: str(number) for number in numbers}
    assert found.result.kept == tuple(f"kept/trial-{number}" for number in numbers)
    assert max(map(len, seen)) == min(count, 8)  # never more of them, on the way there either
    assert len({frozenset(each) for each in seen}) > 2
    assert not (tmp_path / "out/workers").exists()


def test_none_are_kept_unless_asked_for(tmp_path: Path) -> None:
    found = ktgdsl.search(sound(space("pruner = none")), out=tmp_path / "out", workers=1)
    assert found.result.kept == ()
    assert not (tmp_path / "out/kept").exists()


def test_who_is_best_by_further_seeds_is_kept(tmp_path: Path) -> None:
    """Here not the one that was best in the search."""
    plan = sound(space("keep = 1  confirm = 2").replace("trials = 8", "trials = 12"))
    found = ktgdsl.search(plan, out=tmp_path / "out", workers=1)
    first = found.result.best.trial
    assert first != best(found, 1)[0]
    assert kept(tmp_path / "out") == {first: str(first)}


@pytest.mark.parametrize("ended", [2, 5])
def test_cut_off_and_resumed_it_keeps_the_same(tmp_path: Path, ended: int) -> None:
    """Also where the kill came between the journal's entry and the move of the folder."""
    plan = sound(space("keep = 2  pruner = none"))
    whole = ktgdsl.search(plan, out=tmp_path / "whole", workers=1)
    out, count = tmp_path / "out", 0

    def cut(event: Event) -> None:
        nonlocal count
        count += isinstance(event, TrialEnded)
        if count == ended:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ktgdsl.search(plan, out=out, workers=1, listener=cut)
    for path in [*out.glob("kept/*")][-1:]:  # as if the last had not been moved
        path.rename(networks_path(out / "workers", int(path.name.removeprefix("trial-"))))
    assert resume(out).result.kept == whole.result.kept
    assert kept(out) == kept(tmp_path / "whole")


def test_a_folder_of_a_kept_trial_names_its_search(tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = ktgdsl.search(sound(space("keep = 2")), out=out, workers=1)
    with pytest.raises(ktgdsl.RunError) as caught:
        ktgdsl.load_network(out, "a")
    (wrong,) = caught.value.diagnostics
    assert wrong.help == f"name a trial whose networks it keeps, such as {min(out.glob('kept/*'))}"
    environment = json.loads((out / found.result.kept[0] / "environment.json").read_text())
    own = found.study.trials[best(found, 1)[0]].user_attrs
    assert environment["seeds"] == [own["seed"]]
    assert not {"space", "workers", "devices"} & environment.keys()


# What a worker writes


@pytest.mark.parametrize("take", ["last", "best"])
def test_a_worker_leaves_what_it_reported_before_its_last_report(tmp_path: Path, take: str) -> None:
    """At a rate at which accuracies jump, so that the best epoch is not the last."""
    plan = alone(3, optimizer=sgd(lr=3.0), take=take)
    path = networks_path(tmp_path, 0)
    there: list[bool] = []

    def keep(_: object) -> bool:
        there.append(path.exists())
        return True

    asked = FakeCoordinator(task(plan, seed=5, leaves_networks=True), keep=keep)
    values = serve(tmp_path, asked).values
    assert there == [False] * 2 + [True]
    result = RunResult.from_json((path / "result.json").read_text(), path)
    validation = result.nodes["a"].validation_accuracy
    assert validation is not None
    assert validation.mean == pytest.approx(values[3])
    assert (values[3] == max(values.values())) == (take == "best")
    assert result.seeds == (5,)
    network = linear()
    assert load_weights(network, path / "nodes/a.safetensors") is None
    assert sum(float(each.detach().abs().sum()) for each in network.parameters()) > 0
    plain = serve(tmp_path / "plain", FakeCoordinator(task(plan, seed=5))).values
    assert plain == values
    assert not networks_path(tmp_path / "plain", 0).exists()


def test_their_size_is_four_bytes_a_parameter() -> None:
    """Of the largest networks that the space has."""
    text = "graph g { node a = resnet8 | resnet14  node b = resnet8  target a  edge * -> * }"
    plan = sound(f"{text} data digits search {{ keep = 3 }}")
    size = 4 * (count("resnet14") + count("resnet8"))
    assert network_bytes(plan) == size
    said, facts = space_cost(plan)
    assert facts["estimate"]["kept_bytes"] == 3 * size
    words = f"up to {3 * size / 1e6:.3g} MB for the networks of the best 3 trials"
    assert words in said
    assert "disk" not in space_cost(sound(f"{text} data digits"))[0]


def count(network: str) -> int:
    """The parameters of a network, built."""
    from ktgdsl.backend.networks import make

    depth = int(network.removeprefix("resnet"))
    return sum(p.numel() for p in make("resnet", {"depth": depth}, 1, 10).parameters())
