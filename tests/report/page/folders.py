"""Folders that pages are about: a trained run of linear networks, and a recorded search."""

from pathlib import Path

from torch import nn

import ktgdsl
from ktgdsl.files import sealed_json, sha256
from ktgdsl.searching.checks import leaders
from ktgdsl.searching.result import Finalist, SearchResult
from ktgdsl.searching.study.pruning import pruner_of
from ktgdsl.searching.study.sampling import DistinctSampler
from ktgdsl.searching.study.study import Study
from ktgdsl.training.result import RunResult, Score
from tests.specs import sound

HOSTILE = "</script><script>alert(1)</script>\x1b[31m\u202e\u2066'\"&amp;<b>"
"""What no page may take as markup, nor show as it is."""

RUN = """
graph page {
    node a = python("tests.report.page.folders:linear", say="SAY")
    node b = python("tests.report.page.folders:linear", say="b")
    target a
    edge label -> a, b
    edge b -> a : kl(T=2) via correct
}
data digits { batch = 64  samples = 128  validation = 32 }
phase first  { learn = [b]  epochs = 1 }
phase second { learn = [a]  epochs = 2 }
train { repeats = 2 }
"""
SPACE = """
graph found { node a, b = resnet8 target a
edge label -> * edge b -> a : kl(T=1 | 2) via through | linear | correct }
train { epochs = 4 } search { trials = 10 dedupe = false pruner = asha(min=1, reduction=2) }
"""


def linear(say: str) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def write_trained(folder: Path) -> RunResult:
    """A run of two seeds and two phases."""
    text = RUN.replace("SAY", HOSTILE.replace("\\", "\\\\").replace('"', "''"))
    return ktgdsl.run(ktgdsl.loads(text), out=folder, device="cpu")


def write_search(folder: Path, *, trials: int = 6, finished: bool = True) -> Study:
    """A search whose values are said: each trial is better than those before it."""
    plan = sound(SPACE)
    assert plan.search is not None
    folder.mkdir()
    (folder / "space.ktg").write_text(SPACE)
    (folder / "plan.json").write_text(plan.to_json())
    versions = {"versions": {"torch": "2.0"}, "device": "cpu"}
    digests = {"plan": sha256(plan.to_json().encode())}
    (folder / "environment.json").write_text(sealed_json({**versions, **digests}))
    study = Study(
        folder / "study.journal", plan.graph.name, DistinctSampler(plan), pruner_of(plan.search)
    )
    for number in range(trials):
        study.ask(seed=number)
        for epoch in range(1, 5):
            value = 60.0 + epoch + number
            if study.report(number, epoch, value, last=epoch == 4).is_finished():
                break
    if finished:
        study.set_seconds(61.0)
        best = [
            Finalist(
                trial=trial.number,
                value=trial.value or 0.0,
                epochs=4,
                seed=trial.number,
                digest=trial.user_attrs["digest"],
                canonical_digest=trial.user_attrs["graph"],
                spec=f"top/0{place}.ktg",
                confirmed=Score.of([71.0, 73.0 - place]),
            )
            for place, trial in enumerate(leaders(study.trials), start=1)
        ]
        result = SearchResult(
            folder=folder,
            target="a",
            finalists=tuple(best),
            complete=True,
            trials=trials,
            states={"complete": trials},
            baselines={"target alone, on labels": Score.of([70.0, 71.0])},
            validation_samples=100,
            epochs=4,
            epochs_trained=4 * trials,
            seconds=61.0,
            exhausted=False,
        )
        (folder / "result.json").write_text(result.to_json())
    return study
