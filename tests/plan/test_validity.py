"""Every plan of a spec is possible; `tests/training/test_damaged_files.py` has what is not."""

from pathlib import Path

import pytest

from ktgdsl.compiler import compile_file
from ktgdsl.plan.model import Call, Plan
from ktgdsl.plan.validity import why_invalid
from tests.paths import ROOT
from tests.specs import graph, sound

SPECS = [*(ROOT / "specs").rglob("*.ktg"), *(ROOT / "tests/good").glob("*.ktg")]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_spec_says_is_possible(path: Path) -> None:
    if (plan := compile_file(path).plan) is not None:  # else a recipe
        assert why_invalid(Plan.from_json(plan.to_json())) is None


def test_the_objective_of_a_search_is_one() -> None:
    plan = sound(graph("node a = resnet8 | resnet14 target a edge label -> a"))
    assert plan.search is not None
    search = plan.search.model_copy(update={"objective": Call(name="accuracy")})
    assert why_invalid(plan) is None
    assert why_invalid(plan.model_copy(update={"search": search})) is not None
