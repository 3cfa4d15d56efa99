"""`train { metrics }`: what it measures, and that nothing else of a training depends on it."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import nn

import ktgdsl
from ktgdsl.measures.classification import METRICS
from ktgdsl.plan.model import Plan
from ktgdsl.program.pretraining import pretraining_plan
from ktgdsl.report.run_text import plain_run_listener
from ktgdsl.searching.study.trial_plans import for_trial
from ktgdsl.training.events import EpochDone, Event, RepeatStarted
from ktgdsl.training.metric_counts import MetricCounts
from ktgdsl.training.repeats import RunInterrupted
from ktgdsl.vocabulary.metrics import Metric
from tests.trained import train_plan

SPEC = """
graph measured {
    node a, t = python("tests.training.test_measured:small")
    target a
    edge label -> a
    edge t     -> a : kl
}
data digits { batch = 64  samples = 192  validation = 64 }
train { epochs = 2  EXTRA }
"""


def small() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


def plan(extra: str = "") -> Plan:
    return ktgdsl.loads(SPEC.replace("EXTRA", extra))


def test_every_metric_that_a_spec_may_name_is_computed() -> None:
    assert get_args(Metric) == tuple(METRICS)


def test_metrics_by_hand() -> None:
    counts = MetricCounts(["f1", "top5"])
    logits = torch.tensor([[9.0, 0, 0], [9.0, 0, 0], [0, 9.0, 0], [0, 0, 9.0]])
    label = torch.tensor([0, 1, 1, -1])
    counts({"a": logits, "b": logits.flip(1)}, label)
    counts({"a": logits[:1], "b": logits[:1]}, label[:1])
    # Of a: class 0 has tp 2 of 2 and 3 answers, class 1 tp 1 of 2 and 1 answer; class 2 is not met.
    assert counts.read()["a"] == pytest.approx({"f1": 100 * (4 / 5 + 2 / 3) / 2, "top5": 100.0})
    assert [*counts.read()] == ["a", "b"]


def test_nothing_is_measured_that_is_not_named() -> None:
    events: list[EpochDone] = []
    trained = train_plan(plan(), on_epoch=lambda done, step: events.append(done))
    assert [dict(done.measured) for done in events] == [{}, {}]
    assert trained.accuracy.measured == trained.accuracy.validation_measured == {}


def test_a_training_is_the_same_with_and_without_metrics() -> None:
    one, other = plan(), plan("metrics = [f1]")
    assert (one.digest, one.canonical_digest) == (other.digest, other.canonical_digest)
    networks = [train_plan(each).stepper.networks["a"].state_dict() for each in (one, other)]
    for first, second in zip(*(each.values() for each in networks), strict=True):
        assert torch.equal(first, second)


def test_pre_trainings_and_trials_measure_nothing_else() -> None:
    measured = plan("metrics = [f1]")
    assert pretraining_plan(measured, measured.graph.nodes[1], 0).train.metrics == ()
    space = "let T = 1 | 2\n" + SPEC.replace("EXTRA", "metrics = [f1]").replace("kl", "kl(T=T)")
    found = ktgdsl.loads(space + "search { trials = 2 }")
    assert found.train.metrics == ("f1",)
    assert for_trial(found).train.metrics == ()


def test_a_resumed_run_has_the_metrics_of_the_repeats_before(tmp_path: Path) -> None:
    several = plan("metrics = [top5, f1]  repeats = 2")
    whole = ktgdsl.run(several, out=tmp_path / "whole", device="cpu")

    def interrupt(event: Event) -> None:
        if isinstance(event, RepeatStarted) and event.repeat == 2:
            raise KeyboardInterrupt

    with pytest.raises(RunInterrupted):
        ktgdsl.run(several, out=tmp_path / "cut", device="cpu", listener=interrupt)
    resumed = ktgdsl.resume(tmp_path / "cut", device="cpu")
    assert resumed.nodes["a"].metrics == whole.nodes["a"].metrics
    assert whole.nodes["a"].metrics is not None
    assert len(whole.nodes["a"].metrics["f1"].runs) == 2
    content: dict[str, Any] = json.loads((tmp_path / "cut" / "result.json").read_text())
    assert content["nodes"]["t"].keys() == {"accuracy", "pretrained", "metrics"}


def test_metrics_are_those_of_the_epoch_that_is_taken(tmp_path: Path) -> None:
    text = SPEC.replace("EXTRA", "metrics = [f1]  take = best")
    best = ktgdsl.loads(text.replace("validation = 64", "validation = 64  holdout = true"))
    result = ktgdsl.run(best, out=tmp_path / "r", device="cpu")
    node = ktgdsl.evaluate(tmp_path / "r", ["a"], device="cpu").nodes["a"]
    assert result.nodes["a"].metrics is not None
    assert result.nodes["a"].metrics["f1"].runs == pytest.approx(node.score(METRICS["f1"]).runs)


def test_a_saved_spec_names_its_metrics() -> None:
    from ktgdsl.space.unparse_plan import unparse_plan

    text = unparse_plan(plan("metrics = [ece, top5]"), Path.cwd())
    assert "metrics" in text
    assert ktgdsl.loads(text).train.metrics == ("ece", "top5")
    assert "metrics" not in unparse_plan(plan(), Path.cwd())


def test_the_display_has_the_metrics_of_the_target(tmp_path: Path) -> None:
    lines: list[str] = []
    listener = plain_run_listener(lines.append, clock=lambda: 0.0)
    result = ktgdsl.run(
        plan("metrics = [f1, ece]"), out=tmp_path / "r", device="cpu", listener=listener
    )
    epoch = next(line for line in lines if line.startswith("epoch 2/2"))
    metrics = result.nodes["a"].metrics
    assert metrics is not None
    shown = f"(f1 {metrics['f1'].mean:.1f}, ece {metrics['ece'].mean:.1f})"
    assert f"a {result.nodes['a'].accuracy.mean:.1f} % {shown}" in epoch
    (head,) = (line for line in lines if line.startswith("node "))
    assert head.split("  ")[-1].strip() == "test ece"
