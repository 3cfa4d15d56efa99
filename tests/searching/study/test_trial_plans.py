"""Trials as plans: the graph of a trial is one that can be run."""

import csv
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from ktgdsl.compiler import compile_source
from ktgdsl.diagnostics.source import Source
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.study.trial_plans import graph_of_trial
from ktgdsl.space.unparse_plan import unparse_plan
from tests.specs import graph, of, sound

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


def test_the_table_of_trials_has_no_argument_of_a_network_that_was_not_taken(
    tmp_path: Path,
) -> None:
    nodes = "node a = resnet8 node b = resnet8 | wrn(depth=10, widen=1 | 2) target a"
    plan = of(f"{nodes} edge label, b -> a")
    assert plan.space is not None
    trials = [
        create_trial(
            params={"node.b": network, "node.b.widen": "2"},
            distributions={
                draw.name: CategoricalDistribution(draw.options) for draw in plan.space.draws
            },
            state=TrialState.FAIL,
        )
        for network in plan.space.draws[0].options
    ]
    SearchFolder(tmp_path).write_trials(trials, plan)
    with (tmp_path / "trials.csv").open(newline="") as table:
        rows = [(row["node.b"], row["node.b.widen"]) for row in csv.DictReader(table)]
    assert rows == [("resnet8", ""), ("wrn(depth=10, widen=1 | 2)", "2")]
