"""The schedule `plateau` against torch's, and in a training that is cut off and resumed."""

from typing import Any

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau

import ktgdsl
from ktgdsl.plan.model import Call
from ktgdsl.training.data import load_splits
from ktgdsl.training.loop import ResumePoint, epochs
from ktgdsl.training.plateau import Plateau
from ktgdsl.vocabulary.schedules import Plateau as Word
from tests.plans import tiny_plan
from tests.specs import said

CPU = torch.device("cpu")
LOSSES = [2.0, 1.0, 0.9999, 1.01, 0.99, 1.2, 1.1, 1.0, 1.5, 0.98, 2.0, 2.0, 2.0, 0.5, 0.5, 0.5, 0.5]


def plateau(**arguments: Any) -> Call:
    return Word(**arguments).call()


@pytest.mark.parametrize("on", ["loss", "accuracy"])
@pytest.mark.parametrize(
    "rule",
    [
        {"patience": 0},
        {"patience": 1, "factor": 0.5},
        {"patience": 1, "cooldown": 2, "threshold": 0.05},
        {"patience": 0, "minimum": 0.05},
        {"patience": 2, "threshold": 0.0},
    ],
    ids=str,
)
def test_the_factor_is_torchs(rule: dict[str, Any], on: str) -> None:
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = ReduceLROnPlateau(
        optimizer,
        mode="min" if on == "loss" else "max",
        factor=rule.get("factor", 0.1),
        patience=rule["patience"],
        threshold=rule.get("threshold", 1e-4),
        cooldown=rule.get("cooldown", 0),
        min_lr=rule.get("minimum", 0.0),
        eps=0,
    )
    ours = Plateau(plateau(on=on, **rule).arguments)
    values = LOSSES if on == "loss" else [100 - 20 * loss for loss in LOSSES]
    found, expected = [], []
    for value in values:
        theirs.step(value)
        ours.observe(value)
        found.append(ours.factor)
        expected.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx(expected, rel=1e-12)
    assert len(set(found)) > 1


@pytest.mark.parametrize("on", ["loss", "accuracy"])
def test_a_resumed_training_takes_the_same_steps(on: str) -> None:
    """Each node is slowed for itself, and what it waits for is in the checkpoint."""
    schedule = plateau(on=on, patience=0, threshold=0.6, factor=0.5)
    settings = {"a": {"schedule": schedule}}
    plan = tiny_plan("ab", settings=settings, data={"batch": 256, "holdout": True}, epochs=4)
    data = load_splits(plan.data, 0, CPU).for_training
    step = ktgdsl.stepper(plan, CPU)
    rates = [done.learning_rate for done in epochs(step, data, seed=0, evaluated=["b"])]
    assert [each["b"] for each in rates] == [0.1] * 4
    assert len({each["a"] for each in rates}) > 1
    first = ktgdsl.stepper(plan, CPU)
    state: dict[str, Any] = {}
    for done in epochs(first, data, seed=0):
        if done.epoch == 2:
            state = first.state_dict()
            break
    resumed = ktgdsl.stepper(plan, CPU)
    later = [d.learning_rate for d in epochs(resumed, data, seed=0, resume=ResumePoint(2, state))]
    assert later == rates[2:]
    for name, network in step.graph.networks.items():
        for one, other in zip(
            network.parameters(), resumed.graph.networks[name].parameters(), strict=True
        ):
            assert torch.equal(one, other)


SPEC = "graph g {{ node a = resnet8 {} target a edge label -> a }} train {{ schedule = {} }} {}"
UNHELD = "E302 `plateau(on=accuracy)` watches held-out samples, and none are held out"


@pytest.mark.parametrize(
    ("node", "train", "rest", "found"),
    [
        ("", "plateau(on=accuracy)", "", [UNHELD]),
        ("{ schedule = plateau(on=accuracy) }", "constant", "", [UNHELD]),
        ("", "s", "let s = plateau(on=accuracy)", [UNHELD]),
        ("", "constant", "phase p { learn = [a] schedule = plateau(on=accuracy) }", [UNHELD]),
        ("", "constant", "pretrain { schedule = plateau(on=accuracy) }", [UNHELD]),
        ("", "plateau(on=accuracy)", "data digits { holdout = true }", []),
        ("", "plateau", "", []),
        ("", "plateau(on=accuracy) | constant", "", []),  # a search holds samples out
    ],
)
def test_accuracy_is_that_on_held_out_samples(
    node: str, train: str, rest: str, found: list[str]
) -> None:
    assert said(SPEC.format(node, train, rest)) == found


def test_the_best_epoch_is_that_on_held_out_samples() -> None:
    spec = "graph g { node a = resnet8 target a edge label -> a } train { take = best }"
    unheld = "E302 the best epoch is chosen on held-out samples, and none are held out"
    assert said(spec) == [unheld]
    assert said(spec + "data digits { holdout = true }") == []
