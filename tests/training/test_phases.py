"""Phases: who learns when, from what, how long; what starts afresh; resuming in any of them."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ktgdsl
from ktgdsl.plan.model import Plan
from ktgdsl.searching.study.trial_plans import for_trial
from ktgdsl.space.unparse_plan import unparse_plan
from ktgdsl.training.events import EpochDone
from ktgdsl.training.loop import ResumePoint
from ktgdsl.training.metrics import evaluate
from ktgdsl.training.step import Stepper
from tests.paths import ROOT
from tests.trained import train_plan
from tests.training.test_step import assert_equal, through_a_file, weights

DATA = "data digits { batch = 16  samples = 160  validation = 96  holdout = true }"
TAKD = """
    graph takd {
        node teacher, assistant, student = resnet8
        target student
        edge label -> *
        edge teacher -> assistant : kl(T=4)
        edge assistant -> student : kl(T=4) via linear
    }
    train { epochs = 2  optimizer = sgd(lr=0.05)  schedule = step(every=50%) }
    phase teach  { learn = [teacher] }
    phase assist { learn = [assistant]  epochs = 1  optimizer = adamw(lr=1e-3) }
    phase study  { learn = [student]  schedule = constant }
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))


def load(text: str, data: str = DATA) -> Plan:
    plan: Plan = ktgdsl.loads(text + data)
    return plan


def batch(k: int, size: int = 16) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(k)
    image = torch.rand(size, 1, 8, 8, generator=stream)
    return image, torch.randint(10, (size,), generator=stream)


def count_calls(step: Stepper) -> Counter[str]:
    """How often each network is called, by its name and mode."""
    calls: Counter[str] = Counter()
    for name, network in step.networks.items():

        def count(net: nn.Module, *_: object, name: str = name) -> None:
            how = "learns" if torch.is_grad_enabled() and net.training else "is frozen"
            calls[f"{name} {how}"] += 1

        network.register_forward_hook(count)
    return calls


class Trace:
    """The weights of all nodes after each epoch."""

    def __init__(self) -> None:
        self.weights: list[dict[str, dict[str, Tensor]]] = []
        self.done: list[EpochDone] = []

    def __call__(self, done: EpochDone, step: Stepper) -> None:
        self.done.append(done)
        self.weights.append({name: weights(step, name) for name in step.networks})


def test_each_node_learns_in_its_phase_and_is_frozen_in_the_others() -> None:
    step = ktgdsl.stepper(load(TAKD), "cpu", steps=2)
    assert step.steps == 6
    calls = count_calls(step)
    seen = []
    for k in range(6):
        before = {name: weights(step, name) for name in step.networks}
        calls.clear()
        output = step(*batch(k))
        moved = {
            name
            for name, old in before.items()
            if any(not torch.equal(old[key], new) for key, new in weights(step, name).items())
        }
        seen.append((dict(calls), moved, set(output.losses), set(output.edges)))
    teach = {"teacher learns": 1}
    assist = {"teacher is frozen": 1, "assistant learns": 1}
    study = {"assistant is frozen": 1, "student learns": 1}
    expected = [
        (teach, {"teacher"}, {"teacher"}, {("label", "teacher")}),
        (
            assist, {"assistant"}, {"assistant"},
            {("label", "assistant"), ("teacher", "assistant")},
        ),
        (study, {"student"}, {"student"}, {("label", "student"), ("assistant", "student")}),
    ]  # fmt: skip
    assert seen == [each for each in expected for _ in range(2)]


def test_a_phase_is_trained_as_a_training_of_its_own() -> None:
    """Optimiser, schedule, k and k_end start afresh, to the bit."""
    whole = ktgdsl.stepper(load(TAKD), "cpu", steps=3)
    for k in range(9):
        whole(*batch(k))
    edges = "edge label -> b edge a -> b : kl(T=4) via linear"
    apart = f"""
        graph apart {{ node b = resnet8 node a = resnet8 {{ frozen = true }} target b {edges} }}
        train {{ epochs = 2  optimizer = sgd(lr=0.05)  schedule = constant }}
    """
    fresh = ktgdsl.build(load(TAKD), phase="study").networks["student"]
    networks = {"a": whole.networks["assistant"], "b": fresh}
    networks["b"].to(memory_format=torch.channels_last)
    own = ktgdsl.stepper(load(apart), "cpu", networks=networks, steps=3)
    for k in range(6, 9):
        own(*batch(k))
    assert_equal(weights(own, "b"), weights(whole, "student"))


def test_learning_rates_are_those_of_each_phase() -> None:
    step = ktgdsl.stepper(load(TAKD), "cpu", steps=2)
    rates = []
    for k in range(6):
        step(*batch(k))
        rates.append(dict(step.learning_rates))
    assert rates == [
        {"teacher": 0.05}, {"teacher": pytest.approx(0.005)},
        {"assistant": 1e-3}, {"assistant": pytest.approx(1e-4)},
        {"student": 0.05}, {"student": 0.05},
    ]  # fmt: skip


def test_during_opens_an_edge_in_its_phases() -> None:
    plan = load("""
        graph g {
            node a, b = resnet8
            target a
            edge label -> *
            edge b -> a : kl via 0.5 * during(late), mse via 1 - during(late)
        }
        phase early { learn = [a, b] }
        phase late  { learn = [a] }
    """)
    step = ktgdsl.stepper(plan, "cpu", steps=1)
    first = step.graph.code
    step(*batch(0))
    output = step(*batch(1))
    assert ("mse" in first, "kl_" in first) == (True, False)
    assert ("mse" in step.graph.code, "kl_" in step.graph.code) == (False, True)
    assert set(output.losses) == {"a"}
    assert "target_b = weighted(kl_target_1, 0.5, 1.0, None)" in step.graph.code


@pytest.mark.parametrize("update", ["simultaneous", "sequential"])
def test_updates_of_a_phase_are_of_its_learners(update: str) -> None:
    plan = load(f"""
        graph g {{ node a, b, c = resnet8 target a, b, c edge label -> * edge * -> * }}
        train {{ update = {update} }}
        phase one {{ learn = [a, b] }}
        phase two {{ learn = [b, c] }}
    """)
    step = ktgdsl.stepper(plan, "cpu", steps=1)
    calls = count_calls(step)
    for k in range(2):
        calls.clear()
        output = step(*batch(k))
        learning = "ab" if k == 0 else "bc"
        assert set(output.losses) == set(learning)
        assert set(output.logits) == set("abc")
        assert all(calls[f"{name} learns"] == 1 for name in learning)


def test_the_graph_of_a_phase_is_built_by_its_name() -> None:
    plan = load(TAKD)
    assert set(ktgdsl.build(plan).networks) == {"teacher"}
    assert set(ktgdsl.build(plan, phase="study").networks) == {"assistant", "student"}
    with pytest.raises(ValueError, match="no phase `practice`; there are teach, assist, study"):
        ktgdsl.build(plan, phase="practice")


# Resuming


def test_a_training_resumes_in_any_phase_to_equal_bits() -> None:
    plan = load(
        TAKD.replace("study  { learn = [student]", "study  { learn = [student] take = best")
    )
    plan = plan.model_copy(update={"phases": tuple(
        phase.model_copy(update={"take": "best"}) if phase.name == "teach" else phase
        for phase in plan.phases
    )})  # fmt: skip
    states: list[tuple[int, Any]] = []

    def keep(done: EpochDone, step: Stepper) -> None:
        states.append((done.epoch, through_a_file(step.state_dict())))

    whole = train_plan(plan, on_epoch=keep)
    assert [epoch for epoch, _ in states] == [1, 2, 3, 4, 5]
    for epoch, state in states:
        resumed = train_plan(plan, resume=ResumePoint(epoch, state))
        assert resumed.accuracy == whole.accuracy
        for name in whole.stepper.networks:
            assert_equal(weights(resumed.stepper, name), weights(whole.stepper, name))


def test_a_run_names_its_phases(tmp_path: Path) -> None:
    plan = load(TAKD)
    result = ktgdsl.run(plan, out=tmp_path / "run", device="cpu")
    assert result.epochs == plan.epochs == 5
    assert set(result.nodes) == {"teacher", "assistant", "student"}
    text = (tmp_path / "run/metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    computed = [
        ("teach", 1, "teacher"), ("teach", 2, "teacher"),
        ("assist", 3, "teacher"), ("assist", 3, "assistant"),
        ("study", 4, "assistant"), ("study", 4, "student"),
        ("study", 5, "assistant"), ("study", 5, "student"),
    ]  # fmt: skip
    assert [(each["phase"], each["epoch"], each["node"]) for each in lines] == computed
    score = result.nodes["student"].validation_accuracy
    assert score is not None
    assert lines[-1]["validation_accuracy"] == score.mean
    assert lines[2]["loss"] is None
    assert set(lines[3]["edges"]) == {"label", "teacher"}


# The best epoch


def measure_first(monkeypatch: pytest.MonkeyPatch, *accuracies: dict[str, float]) -> None:
    """Say what the first evaluations measure; the others do."""
    first = iter(accuracies)
    monkeypatch.setattr(
        "ktgdsl.training.loop.evaluate", lambda *given: next(first, None) or evaluate(*given)
    )


def test_the_best_epoch_of_a_phase_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = load("""
        graph g { node t, s = resnet8 target s edge label -> * edge t -> s : kl }
        phase teach { learn = [t] take = best epochs = 4 }
        phase study { learn = [s] epochs = 1 }
    """)
    trace = Trace()
    measure_first(monkeypatch, {"t": 10.0}, {"t": 30.0}, {"t": 30.0}, {"t": 20.0})
    trained = train_plan(plan, on_epoch=trace)
    assert [done.phase for done in trace.done] == ["teach"] * 4 + ["study"]
    assert [done.last for done in trace.done] == [False] * 4 + [True]
    assert_equal(weights(trained.stepper, "t"), trace.weights[1]["t"])  # the first of two equal


def test_each_node_takes_its_own_best_epoch_and_is_measured_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = load("""
        graph g { node a, b = resnet8 target a edge label -> * edge a <-> b }
        phase only { learn = [a, b] take = best epochs = 2 }
    """)
    trace = Trace()
    measure_first(monkeypatch, {"a": 10.0, "b": 30.0}, {"a": 20.0, "b": 20.0})
    trained = train_plan(plan, on_epoch=trace)
    assert_equal(weights(trained.stepper, "a"), trace.weights[1]["a"])
    assert_equal(weights(trained.stepper, "b"), trace.weights[0]["b"])
    assert trained.accuracy.validation is not None
    assert trained.accuracy.validation != {"a": 20.0, "b": 20.0}


ALONE = "graph g { node a, b = resnet8 target a edge label -> * edge a <-> b }"


def test_the_best_epoch_without_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Trace()
    measure_first(monkeypatch, {"a": 10.0, "b": 30.0}, {"a": 20.0, "b": 20.0}, {"a": 20.0, "b": 0})
    trained = train_plan(load(ALONE + "train { take = best epochs = 3 }"), on_epoch=trace)
    assert_equal(weights(trained.stepper, "a"), trace.weights[1]["a"])
    assert_equal(weights(trained.stepper, "b"), trace.weights[0]["b"])
    assert trained.accuracy.validation not in ({"a": 20.0, "b": 20.0}, {"a": 20.0, "b": 0})


def test_the_best_epoch_without_phases_is_known_after_a_kill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan, states = load(ALONE + "train { take = best epochs = 2 }"), []
    best, worse = {"a": 30.0, "b": 30.0}, {"a": 20.0, "b": 20.0}
    measure_first(monkeypatch, best, worse)
    whole = train_plan(
        plan, on_epoch=lambda _, step: states.append(through_a_file(step.state_dict()))
    )
    measure_first(monkeypatch, worse)
    resumed = train_plan(plan, resume=ResumePoint(1, states[0]))
    for name in ("a", "b"):
        assert_equal(weights(resumed.stepper, name), weights(whole.stepper, name))


def test_phases_take_the_epoch_of_train_unless_they_say_it() -> None:
    plan = load(
        ALONE
        + """
        train { take = best }
        phase one { learn = [a, b] }
        phase two { learn = [a, b] take = last }
    """
    )
    assert [phase.take for phase in plan.phases] == ["best", "last"]
    again = ktgdsl.loads(unparse_plan(plan, Path.cwd()))
    assert [phase.take for phase in again.phases] == ["best", "last"]
    assert again.digest == plan.digest


def test_which_epoch_is_taken_counts_in_a_digest_where_it_is_read() -> None:
    def digest(train: str, phases: str = "") -> str:
        return load(ALONE + f"train {{ {train} }}" + phases).digest

    assert digest("take = last") == digest("") != digest("take = best")
    phase = "phase one { learn = [a, b] take = last }"
    assert digest("take = best", phase) == digest("", phase)


# Methods


def test_born_again_networks_learn_from_the_generation_before() -> None:
    plan = load("""
        graph born_again {
            node g[3] = resnet8
            target g[2]
            edge label -> *
            edge g[0] -> g[1] : kl(T=4)
            edge g[1] -> g[2] : kl(T=4)
        }
        train { epochs = 1 }
        phase first  { learn = [g[0]] }
        phase second { learn = [g[1]] }
        phase third  { learn = [g[2]] }
    """)
    trace = Trace()
    trained = train_plan(plan, on_epoch=trace)
    # Each generation starts from fresh weights, and the ones before stay as they were.
    assert_equal(trace.weights[0]["g[2]"], trace.weights[1]["g[2]"])
    assert_equal(trace.weights[0]["g[0]"], weights(trained.stepper, "g[0]"))
    assert_equal(trace.weights[1]["g[1]"], weights(trained.stepper, "g[1]"))


def test_fitnets_is_trained_to_the_end_of_both_phases() -> None:
    small = {
        "node.student": "resnet8", "node.teacher": "resnet14", "train.epochs": 3,
        "phase.hints.epochs": 2, "data": "digits", "data.samples": 320, "data.batch": 16,
        "data.augment": "none",
    }  # fmt: skip
    settings = [f"{name}={value}" for name, value in small.items()]
    plan = ktgdsl.load(ROOT / "specs/methods/fitnets.ktg", settings)
    trace = Trace()
    trained = train_plan(plan, on_epoch=trace)
    assert [done.phase for done in trace.done] == ["hints"] * 2 + ["distil"] * 3
    hints = [done.metrics.edges["teacher.stage2", "student.stage2"].loss for done in trace.done[:2]]
    assert hints[1] < 0.7 * hints[0]
    assert {key for done in trace.done[2:] for key in done.metrics.edges} == {
        ("label", "student"), ("teacher", "student"),
    }  # fmt: skip
    assert all(math.isfinite(loss) for done in trace.done for loss in done.metrics.loss.values())
    assert trained.accuracy.test["student"] > 50


# Searches


@pytest.mark.parametrize(
    ("epochs", "lengths"), [(5, [2, 1, 2]), (10, [4, 2, 4]), (3, [1, 1, 1]), (4, [2, 1, 1])]
)
def test_a_shorter_trial_has_all_phases_in_proportion(epochs: int, lengths: list[int]) -> None:
    space = TAKD.replace("kl(T=4) via linear", "kl(T=4) via linear | through")
    plan = load(space + f"search {{ epochs = {epochs} }}")
    trial = for_trial(plan)
    assert [phase.epochs for phase in trial.phases] == lengths
    assert trial.epochs == epochs


def test_a_trial_counts_the_epochs_of_all_phases() -> None:
    plan = load(TAKD.replace("kl(T=4) via linear", "kl(T=4) via linear | through"))
    assert plan.search is not None
    assert plan.search.epochs == 5
