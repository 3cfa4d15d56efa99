"""Mean teachers, stale copies of codistillation, and searches over them, run to the end."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial
from torch import nn

import ktgdsl
from ktgdsl.bench.flops import ImageFlops
from ktgdsl.cli.main import main
from ktgdsl.plan.model import Plan
from ktgdsl.report.run_text import run_result_text
from ktgdsl.searching.checks import TARGET_ALONE, baselines
from ktgdsl.searching.study.trial_plans import trial_plan
from ktgdsl.space.size import size
from ktgdsl.space.unparse_plan import unparse_plan
from ktgdsl.training.data import load_splits
from ktgdsl.training.metrics import evaluate
from ktgdsl.training.repeats import RunInterrupted
from ktgdsl.training.step import Stepper
from tests.searching.workers.test_worker import FakeCoordinator, serve, task

SMALL = "resnet(depth=8, width=4)"
METHODS = {
    "mean teacher": f"""
        graph mean_teacher {{
            node a       = {SMALL}
            node teacher = ema(a, decay=0.9)
            target a
            edge label   -> a
            edge teacher -> a : 10 * mse(on=probabilities) via rampup(1)
        }}
        data digits {{ batch = 16 samples = 96 labeled = 32 }}
    """,
    "codistillation": f"""
        graph codistillation {{
            node a, b = {SMALL}
            node old_a = copy(a, every=2)
            node old_b = copy(b, every=2)
            target a
            edge label -> a : ce via shard(0, 2)
            edge label -> b : ce via shard(1, 2)
            edge old_b -> a : kl via shard(0, 2) * after(40%)
            edge old_a -> b : kl via shard(1, 2) * after(40%)
        }}
        data digits {{ batch = 16 samples = 96 }}
        train {{ update = sequential reduce = active }}
    """,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


def load(text: str, epochs: int = 2) -> Plan:
    plan: Plan = ktgdsl.loads(text)
    train = plan.train.model_copy(update={"epochs": epochs})
    return plan.model_copy(update={"train": train})


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def accuracy(network: nn.Module, plan: Plan) -> float:
    """On the test split, of images in [0, 1]."""
    split = load_splits(plan.data, 0, torch.device("cpu")).test
    image, label = split.batch(slice(0, len(split)))
    with torch.no_grad():
        top = network(image).argmax(1)
    return 100 * float((top == label).double().mean())


@pytest.mark.parametrize("method", METHODS)
def test_a_method_runs_and_resumes_to_equal_bits(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load(METHODS[method])
    result = ktgdsl.run(plan, out=tmp_path / "whole", device="cpu")
    names = ["a", "teacher"] if method == "mean teacher" else ["a", "b", "old_a", "old_b"]
    assert list(result.nodes) == names
    assert [line["node"] for line in lines(tmp_path / "whole")] == names * 2
    for name in names:
        network = ktgdsl.load_network(tmp_path / "whole", name)
        assert accuracy(network, plan) == pytest.approx(result.nodes[name].accuracy.mean)
    assert f"{names[-1]}  auxiliary" in run_result_text(plan, result)

    take, taken = Stepper.__call__, iter(range(100))

    def interrupted(step: Stepper, *given: Any) -> Any:
        if next(taken) == 8:  # in the second epoch
            raise KeyboardInterrupt
        return take(step, *given)

    monkeypatch.setattr(Stepper, "__call__", interrupted)
    with pytest.raises(RunInterrupted):
        ktgdsl.run(plan, out=tmp_path / "cut", device="cpu")
    monkeypatch.setattr(Stepper, "__call__", take)
    ktgdsl.resume(tmp_path / "cut", device="cpu")
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
    for name in names:
        files = [tmp_path / run / "nodes" / f"{name}.safetensors" for run in ("cut", "whole")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_line_of_metrics(tmp_path: Path) -> None:
    plan = load(METHODS["mean teacher"], epochs=1)
    ktgdsl.run(plan, out=tmp_path / "run", device="cpu")
    student, teacher = lines(tmp_path / "run")
    assert set(student["edges"]) == {"label", "teacher"}
    assert teacher["loss"] is teacher["learning_rate"] is None
    assert teacher["edges"] == {}
    assert 0 <= teacher["test_accuracy"] <= 100
    assert 0 <= teacher["accuracy"] <= 100


def test_what_a_run_and_a_plan_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "mt.ktg"
    spec.write_text(METHODS["mean teacher"])
    assert main(["plan", str(spec)]) == 0
    assert "teacher  ema(a, decay=0.9, warmup=true, buffers=own)" in capsys.readouterr().out
    assert main(["build", str(spec), "--emit", "program"]) == 0
    program = capsys.readouterr().out
    assert "module node_teacher: network of teacher, at first a copy of a's\n" in program
    assert "    logits of teacher = follow node_teacher(image)\n" in program
    assert "  follower teacher: ema(decay=0.9, warmup=true, buffers=own) of a\n" in program
    run = ["run", str(spec), "--set", "train.epochs=1", "--out", str(tmp_path / "run")]
    assert main(run) == 0
    assert "teacher  auxiliary  ema of a" in capsys.readouterr().out
    assert main(["graph", str(tmp_path / "run"), "-o", str(tmp_path / "run.svg")]) == 0
    picture = (tmp_path / "run.svg").read_text()
    assert "teacher is made from a" in picture
    assert f"({lines(tmp_path / 'run')[1]['test_accuracy']:.2f})" in picture


def test_its_forward_counts_among_the_flops_of_an_image() -> None:
    body = f"node a = {SMALL} target a edge label -> a"
    alone, followed = (
        load(f"graph g {{ {body} }}"),
        load(f"graph g {{ {body} node f = ema(a) edge f -> a }}"),
    )
    flops = ImageFlops()
    assert 3 * flops.of(followed) == 4 * flops.of(alone)  # backward is twice forward


SPACE = f"""
    graph space {{
        node a       = {SMALL}
        node teacher = ema(a, decay = 0.5 | 0.99, buffers = own | copy)
        target a
        edge label   -> a
        edge teacher -> a : mse via linear
    }}
    data digits {{ batch = 16 samples = 64 validation = 32 }}
    search {{ trials = 4 epochs = 1 sampler = random pruner = none objective = accuracy(teacher) }}
"""


@pytest.mark.usefixtures("forked_workers")
def test_a_search_over_averages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def watched(answers: Any, *rest: Any) -> dict[str, float]:
        measured.extend(answers.nodes)
        return evaluate(answers, *rest)

    monkeypatch.setattr("ktgdsl.training.loop.evaluate", watched)
    plan: Plan = ktgdsl.loads(SPACE)
    assert plan.space is not None
    assert size(plan).distinct == 4
    point = {"node.teacher.decay": "0.99", "node.teacher.buffers": "copy"}
    points = [point, {**point, "node.teacher.decay": "0.5"}]
    plans = [each for point in points if (each := trial_plan(plan, point)) is not None]
    made = [each.graph.followers[0].made.arguments for each in plans]
    assert made == [{"decay": d, "warmup": True, "buffers": "copy"} for d in (0.99, 0.5)]
    again: Plan = ktgdsl.loads(unparse_plan(plans[0], tmp_path))
    assert again.graph.followers == plans[0].graph.followers
    tasks = [task(each, i, objective="teacher") for i, each in enumerate(plans)]
    found = serve(tmp_path / "work", FakeCoordinator(*tasks))
    assert [report.trial for report in found.reports] == [0, 1]
    assert measured == ["teacher"] * 2


def test_the_baseline_of_an_average_is_the_average_of_its_node_alone() -> None:
    plan: Plan = ktgdsl.loads(SPACE)
    point = {"node.teacher.decay": "0.5", "node.teacher.buffers": "own"}
    options: dict[str, Any] = {
        name: CategoricalDistribution([value]) for name, value in point.items()
    }
    best = create_trial(params=point, distributions=options, value=50.0)
    alone = baselines(plan, best)[TARGET_ALONE]
    assert [node.name for node in alone.graph.nodes] == ["a"]
    assert [node.name for node in alone.graph.derived] == ["teacher"]
    assert [str(edge) for edge in alone.graph.edges] == ["label -> a"]
