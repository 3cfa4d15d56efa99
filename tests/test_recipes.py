"""The shipped recipes say the paper's settings, and those of its authors' code."""

from pathlib import Path
from typing import Any

import pytest

import ktgdsl
from ktgdsl.cli.main import main
from tests.paths import ROOT

RECIPES = ROOT / "specs" / "recipes"
EACH = sorted(RECIPES.glob("*.ktg"))
BODY = """
    graph g {{ node a = resnet32 target a edge label -> a }}
    data {data} {{ root = "images" }}
"""


def used(folder: Path, *names: str, data: str = "cifar100") -> ktgdsl.Plan:
    """The plan of a spec beside a copy of the recipes."""
    for path in EACH:
        (folder / path.name).write_text(path.read_text())
    uses = "\n".join(f'use "{name}.ktg"' for name in names)
    spec = folder / "spec.ktg"
    spec.write_text(uses + BODY.format(data=data))
    plan: ktgdsl.Plan = ktgdsl.load(spec)
    return plan


def test_the_promised_recipes_are_there() -> None:
    assert {path.stem for path in EACH} >= {"cifar", "tiny", "dcl"}


@pytest.mark.parametrize("path", EACH, ids=lambda path: path.stem)
def test_a_recipe_is_formatted(path: Path) -> None:
    assert main(["fmt", "--check", str(path)]) == 0


def facts(plan: ktgdsl.Plan) -> dict[str, Any]:
    assert plan.train.optimizer.name == "sgd"
    assert plan.train.optimizer.arguments == {
        "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4,
    }  # fmt: skip
    schedule: dict[str, Any] = plan.train.schedule.arguments
    return {
        "batch": plan.data.batch,
        "augment": plan.data.augment,
        "validation": plan.data.validation,
        "holdout": plan.data.holdout,
        "epochs": plan.train.epochs,
        "drops": schedule.get("every") or schedule["at"],
        "gamma": schedule["gamma"],
        "on_zero": plan.train.on_zero,
    }


CIFAR = {
    "batch": 64, "augment": "paper", "validation": 10_000, "holdout": False, "epochs": 200,
    "drops": 60.0, "gamma": 0.1, "on_zero": "step",
}  # fmt: skip


@pytest.mark.parametrize("data", ["cifar10", "cifar100"])
def test_cifar_is_the_papers(tmp_path: Path, data: str) -> None:
    plan = used(tmp_path, "cifar", data=data)
    assert facts(plan) == CIFAR
    assert plan.data.source.name == data


def test_tiny_is_the_papers(tmp_path: Path) -> None:
    plan = used(tmp_path, "tiny", data="tiny_imagenet")
    assert facts(plan) == {**CIFAR, "epochs": 80, "drops": [40.0, 60.0, 70.0]}


def test_dcl_differs_from_the_paper_where_the_authors_code_does(tmp_path: Path) -> None:
    plan = used(tmp_path, "cifar", "dcl")
    assert facts(plan) == {**CIFAR, "on_zero": "skip"}
    train = plan.train
    assert (train.reduce, train.aggregate, train.update) == ("mean", "sum", "simultaneous")


def test_what_dcl_says_of_nodes_and_gates_can_be_written(tmp_path: Path) -> None:
    spec = tmp_path / "spec.ktg"
    (tmp_path / "dcl.ktg").write_text((RECIPES / "dcl.ktg").read_text())
    spec.write_text("""
        use "dcl.ktg"
        graph g {
            node m1 = resnet32
            node t = wrn28_2 { frozen = true  mode = train }
            target m1
            edge label, t -> m1 via linear(0, 0.9987)
        }
    """)
    assert ktgdsl.check(spec) == ()
    plan = ktgdsl.load(spec)
    assert plan.graph.node("t").mode == "train"
    # The code counts 782 batches an epoch, the last one short, and drops that one.
    assert plan.data.steps_per_epoch == 781
    stop = round(781 / 782, 4)
    gate = f"linear(start=0, stop={stop})"
    assert [str(edge.terms[0].gate) for edge in plan.graph.edges] == [gate, gate]
