"""What a search maximises: accuracies of heads, and measures besides the accuracy."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ktgdsl.plan.goals import goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.searching.study.trial_plans import for_trial
from ktgdsl.training.data import load_splits
from tests.searching.workers.test_worker import (
    CPU,
    FakeCoordinator,
    alone,
    killed_at,
    linear,
    serve,
    state,
    task,
)
from tests.specs import compiled
from tests.training.test_heads import NETS

HEADS = """
graph g {
    node a, b = python("heads_of_objectives:Net") { heads = [size, tone] }
    node t    = python("heads_of_objectives:One") { heads = [tone] }
    target *
    edge label.size -> a.size, b.size
    edge label.tone -> *.tone
}
data python("heads_of_objectives:images") { batch = 8  holdout = true  validation = 20 }
train { epochs = 6  optimizer = sgd(lr=0.5) }
search { objective = accuracy(a) }
"""


@pytest.fixture
def heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "heads_of_objectives.py").write_text(NETS)
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delitem(sys.modules, "heads_of_objectives", raising=False)  # of another test
    return tmp_path


def of(objective: str, folder: Path) -> Plan:
    found = compiled(HEADS, [f"search.objective={objective}"], folder).plan
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("objective", "answer", "metric", "words"),
    [
        ("accuracy(a)", "a", None, "accuracy of a"),
        ("accuracy(a.tone)", "a.tone", None, "accuracy of a.tone"),
        ("accuracy(t.tone)", "t", None, "accuracy of t"),  # its only head
        ("miou(b.size, on=test)", "b.size", "miou", "miou of b.size"),
        ("f1(b)", "b", "f1", "f1 of b"),
    ],
)
def test_what_is_measured(
    heads: Path, objective: str, answer: str, metric: str | None, words: str
) -> None:
    plan = of(objective, heads)
    search = plan.search
    assert search is not None
    assert (search.answer, search.metric, search.measured) == (answer, metric, words)
    assert for_trial(plan).train.metrics == ((metric,) if metric else ())
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.digest == of("accuracy(a)", heads).digest


@pytest.mark.parametrize(
    ("objective", "said", "help_"),
    [
        ("accuracy(a.hue)", "`a` has no head `hue`", "there are `a.size`, `a.tone`"),
        ("miou(b.tones)", "`b` has no head `tones`", "did you mean `b.tone`?"),
    ],
)
def test_heads_that_there_are_not(objective: str, said: str, help_: str) -> None:
    (found,) = compiled(HEADS, [f"search.objective={objective}"]).diagnostics
    assert (found.code, found.message, found.help) == ("E412", said, help_)


def values(folder: Path, plan: Plan, name: str = "", **more: Any) -> list[float]:
    search = plan.search
    assert search is not None
    asked = task(for_trial(plan), objective=search.answer, metric=search.metric, seed=3, **more)
    found = serve(folder / f"{search.measured}{name}", FakeCoordinator(asked))
    return list(found.values.values())


def test_a_head_counts_alone_in_the_best_epoch_of_its_node(heads: Path) -> None:
    """The mean of the heads is the accuracy of the node, whose best epoch is that of both."""
    both, size, tone = (
        values(heads, of(f"accuracy({each})", heads)) for each in ("a", "a.size", "a.tone")
    )
    assert len(set(size)) > 1
    assert size != tone
    assert both == [(one + other) / 2 for one, other in zip(size, tone, strict=True)]
    best = [max(range(n + 1), key=lambda e: (both[e], -e)) for n in range(6)]
    assert best != [*range(6)]
    for head, each in (("a.size", size), ("a.tone", tone)):
        plan = of(f"accuracy({head})", heads)
        taken = plan.model_copy(update={"train": plan.train.model_copy(update={"take": "best"})})
        assert values(heads, taken, "best") == [each[epoch] for epoch in best]


@pytest.mark.parametrize("take", ["last", "best"])
def test_several_objectives_of_heads_are_each_as_if_alone(heads: Path, take: str) -> None:
    """In the best epoch, too, which is that of the node."""

    def taking(plan: Plan) -> Plan:
        return plan.model_copy(update={"train": plan.train.model_copy(update={"take": take})})

    words = "accuracy(a.tone)", "f1(a.size)", "accuracy(a)"
    several = taking(of(f"[{', '.join(words)}, -parameters(a)]", heads))
    assert several.search is not None
    goals = goals_of(several.search)
    asked = task(for_trial(several), objective="a.tone", seed=3, goals=goals)
    *_, last = serve(heads / "several", FakeCoordinator(asked)).reports
    assert last.values[0] == last.value
    alone = (values(heads, taking(of(word, heads)), take)[-1] for word in words)
    assert last.values[:3] == tuple(alone)
    assert last.values[3] < 0


@pytest.mark.parametrize("on", ["validation", "test"])
def test_measures_besides_the_accuracy_are_those_of_the_answers(tmp_path: Path, on: str) -> None:
    """Against NumPy, from the weights of the checkpoint after the fourth epoch."""
    plan = alone(5)
    shown = getattr(load_splits(plan.data, 7, CPU), on)
    found = {}
    for name in ("f1", "miou"):
        measured = plan.train.model_copy(update={"metrics": (name,)})
        asked = task(plan.model_copy(update={"train": measured}), metric=name, judged_on=on)
        found[name] = serve(tmp_path / name, FakeCoordinator(asked, keep=killed_at(5))).values[4]
    network = linear()
    network.load_state_dict(state(tmp_path / "miou")["state"]["stepper"]["networks"]["a"])
    network.eval()
    with torch.no_grad():
        answer = network(shown.batch(slice(0, len(shown.label)))[0]).argmax(1).numpy()
    label = shown.label.numpy()
    hits, labels, answers = (
        np.bincount(each, minlength=10) for each in (label[label == answer], label, answer)
    )
    assert found["f1"] == pytest.approx(100 * np.mean(2 * hits / (labels + answers)))
    assert found["miou"] == pytest.approx(100 * np.mean(hits / (labels + answers - hits)))
