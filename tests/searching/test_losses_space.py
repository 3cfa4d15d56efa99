"""Open losses, taps, connectors, temperatures and phase lengths: counted, searched, run again."""

from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.plan.model import Plan
from ktgdsl.searching.study.trial_plans import for_trial
from ktgdsl.searching.workers.protocol import Task
from ktgdsl.searching.workers.worker import Worker
from ktgdsl.space.size import size
from ktgdsl.space.space import plan_at
from ktgdsl.training.environment import threads_of
from ktgdsl.training.run_folder import RunFolder
from tests.paths import ROOT
from tests.searching.workers.test_worker import CPU, FakeCoordinator
from tests.specs import sound

SPEC = ROOT / "specs/losses_space.ktg"
SMALL = [
    "data.samples=96", "data.validation=32", "data.batch=32", "node.teacher=resnet8",
    "pretrain.epochs=1", "phase.distil.epochs=1 | 2", "search.pruner=none", "search.trials=2",
]  # fmt: skip


def test_what_is_open_is_drawn_by_its_name() -> None:
    plan = ktgdsl.load(SPEC)
    assert plan.space is not None
    assert {draw.name: str(draw) for draw in plan.space.draws} == {
        "edge.teacher->student.stage2.source": "stage1 | stage2",
        "edge.teacher->student.stage2.loss.connector": "conv | norm",
        "edge.teacher->student.loss": "kl(T=1 .. 4) | dkd(T=2 | 4) | dist",
        "edge.teacher->student.loss.T": "1 .. 4",
        "edge.teacher->student.loss.T.1": "2 | 4",
        "phase.hints.epochs": "1 | 3",
        "phase.distil.epochs": "6 .. 8",
    }


def test_arguments_of_a_loss_that_is_not_taken_make_no_other_graph() -> None:
    found = size(ktgdsl.load(SPEC, ["phase.distil.epochs=6", "phase.hints.epochs=1"]))
    assert found.raw == 2 * 2 * 3 * 4 * 2
    assert found.distinct == 2 * 2 * (4 + 2 + 1)


@pytest.mark.usefixtures("forked_workers")
def test_it_is_searched_and_its_best_graph_trains_as_in_its_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    space = ktgdsl.load(SPEC, SMALL)
    found = ktgdsl.search(space, out=tmp_path / "out", device="cpu", workers=1).result
    assert found.states == {"complete": 2}
    assert found.epochs == 3 + 2  # of the longest trial
    best = ktgdsl.load(tmp_path / "out/best.ktg", ["data.holdout=true"])
    assert best.digest == found.best.digest
    assert best.epochs == found.best.epochs
    ktgdsl.run(best, out=tmp_path / "run", device="cpu")
    again = FakeCoordinator()
    task = Task(0, best.to_json(), found.best.seed, best.train.seed, "student")
    with threads_of(RunFolder(tmp_path / "out").environment()):
        Worker(again, CPU, tmp_path).train(task)
    assert again.values[best.epochs] == found.best.value


# Lengths

TEACHER = """
    graph g {
        node s, t = resnet8
        target s
        edge label, t -> s
        edge t -> s : kl via linear | through
    }
"""


@pytest.mark.parametrize(
    ("blocks", "epochs"),
    [
        ("train { epochs = 5 | 12 | 7 }", 12),
        ("train { epochs = 3 .. 9 }", 9),
        ("phase one { learn = [s] epochs = 1 | 4 } phase two { learn = [s] epochs = 2 .. 3 }", 7),
        (
            "let e = 1 .. 4  phase one { learn = [s] epochs = e }"
            "phase two { learn = [s] epochs = 6 - e }",
            6,
        ),
        ("phase one { learn = [s] epochs = 1 | 4 } search { epochs = 3 }", 3),
        ("train { epochs = 5 } phase one { learn = [s] }", 5),
    ],
)
def test_a_full_trial_is_as_long_as_the_longest(blocks: str, epochs: int) -> None:
    plan = sound(TEACHER + blocks)
    assert plan.search is not None
    assert plan.search.epochs == epochs


def test_a_trial_has_the_length_of_its_own_phases() -> None:
    space = sound(TEACHER + "phase one { learn = [s] epochs = 1 | 4 }")
    point = plan_at(space, {"phase.one.epochs": 0})
    assert point is not None
    assert for_trial(point).epochs == 1


def test_pre_training_is_as_long_as_in_a_run_or_shorter_in_proportion() -> None:
    def epochs(search: str, pretrain: str = "") -> tuple[int, int]:
        blocks = "train { epochs = 20 } phase one { learn = [s] epochs = 10 }" + pretrain
        trial = for_trial(sound(f"{TEACHER} {blocks} search {{ {search} }}"))
        return trial.epochs, trial.pretraining_epochs

    assert epochs("") == (10, 20)
    assert epochs("epochs = 5") == (5, 10)
    assert epochs("epochs = 5", "pretrain { epochs = 7 }") == (5, 7)


# Equal graphs


def graph(text: str) -> str:
    plan: Plan = ktgdsl.loads(text)
    return plan.canonical_digest


def test_settings_that_no_phase_reads_make_no_other_graph() -> None:
    pair = "graph g { node a, b = resnet8 target a edge label -> * edge b -> a } "
    phase = "phase one {{ learn = [b, a] epochs = 2 {} }}".format

    def of(more: str, inside: str = "") -> str:
        return graph(f"{pair} {more} {phase(inside)}")

    sgd = "optimizer = sgd(lr=0.5)"
    assert of("train { epochs = 7 }") == of("")
    assert of("", sgd) != of("")
    assert of("train { optimizer = adamw }", sgd) == of("", sgd) == of(f"train {{ {sgd} }}")
    assert of("train { schedule = cosine }", sgd) != of("", sgd)
    assert of("train { schedule = cosine }", "schedule = constant") == of("", "schedule = constant")


def test_settings_that_pre_training_reads_make_another_graph() -> None:
    def of(more: str, phase: str = "") -> str:
        return graph(
            f"graph g {{ node s, t = resnet8 target s edge label, t -> s }} {more}"
            f"phase one {{ learn = [s] epochs = 2 optimizer = adamw {phase} }}"
        )

    assert of("train { epochs = 7 }") != of("")
    assert of("train { epochs = 7 } pretrain { epochs = 4 }") == of("pretrain { epochs = 4 }")
    assert of("train { optimizer = sgd(lr=0.5) }") != of("")
