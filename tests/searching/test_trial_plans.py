"""Trials as plans: the graph of a trial is one that can be run."""

from pathlib import Path

import pytest

from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.source import Source
from ktgdsl.searching.trial_plans import graph_of_trial
from ktgdsl.space.unparse_plan import unparse_plan
from tests.specs import graph, sound

SPACE = graph("node a = resnet8 target a edge label -> a via through | linear")
SEARCH = "search { trials = 2 }"


@pytest.mark.parametrize(
    ("more", "held_out"),
    [
        ("train { epochs = 2 }", False),
        ("train { take = best }", True),
        ("train { schedule = plateau(on=accuracy) }", True),
        ("train { schedule = plateau }", False),
        ("phase one { learn = [a] take = best } phase two { learn = [a] }", True),
    ],
)
def test_what_judges_by_held_out_samples_holds_some_out(
    more: str, held_out: bool, tmp_path: Path
) -> None:
    plan = sound(f"{SPACE} {more} {SEARCH}")
    assert plan.space is not None
    (draw,) = plan.space.draws
    found = graph_of_trial(plan, {draw.name: "linear"})
    assert found.data.holdout == held_out
    again = compile_source(Source("best.ktg", unparse_plan(found, tmp_path)), tmp_path)
    assert again.plan is not None
    assert again.plan.digest == found.digest
