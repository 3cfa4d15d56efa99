"""What a search will cost, before it begins."""

import json
import re
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.plan.model import Plan
from ktgdsl.report.space_cost import space_cost
from ktgdsl.searching.estimate import MAX_NODES, SAMPLED_POINTS, estimate, sample_plans
from ktgdsl.space.size import Size
from ktgdsl.space.space import plan_at
from ktgdsl.space.substitutions import Point
from tests.specs import graph, sound

SPACE = """
let each gate = through | cutoff | linear | correct
graph g {{
    node a, b = resnet8
    target a
    edge label -> * via gate
    edge * -> * via gate
}}
train {{ epochs = 8 }}
search {{ trials = {trials} {more} }}
"""


def test_without_a_pruner_every_trial_is_trained_to_the_end() -> None:
    found = estimate(sound(SPACE.format(trials=30, more="pruner = none")))
    assert (found.trials, found.complete, found.epochs) == (30, 30, 240)
    # Two baselines, and `b` where no edge enters it.
    assert found.all_epochs == 240 + (2 + 1) * 8


def test_one_trial_is_never_ended() -> None:
    found = estimate(sound(SPACE.format(trials=1, more="")))
    assert (found.complete, found.epochs) == (1, 8)


def test_of_many_trials_about_half_go_on_at_each_rung() -> None:
    """Rungs 1, 2, 4 of 8 epochs: 1 + 1/2 + 2/4 + 4/8 epochs a trial, more for early ones."""
    found = estimate(sound(SPACE.format(trials=4000, more="dedupe = false")))
    assert 2.4 * 4000 < found.epochs < 2.7 * 4000
    assert 4000 / 8 < found.complete < 4000 / 8 * 1.2


def test_a_space_with_fewer_graphs_than_trials_ends_there() -> None:
    plan = sound(SPACE.format(trials=500, more="pruner = none"))
    assert estimate(plan, distinct=110).trials == 110
    assert estimate(plan).trials == 500


def test_confirmations_are_counted() -> None:
    found = estimate(sound(SPACE.format(trials=10, more="confirm = 5")))
    assert found.checks == 2 * 5 + 3 * 5


def test_networks_to_pre_train_are_counted_once_each() -> None:
    text = """
    graph g {
        node a = resnet8
        node t, u = resnet14 | wrn10_2
        target a
        edge label -> a
        edge t, u -> a : kl via linear | correct
    }
    """
    assert estimate(sound(text)).pretrainings == 2


def test_networks_that_few_points_pre_train_are_counted() -> None:
    """Each of `b` to `f` is frozen at one point of 4^6, and then a ResNet8 or a ResNet14."""
    plan = sound(
        """
        let each gate = through | cutoff | linear | correct
        graph g {
            node a = resnet8
            node b, c, d, e, f = resnet8 | resnet14
            target a
            edge label, * -> * via gate
        }
        """
    )
    assert not any(node.pretrained for each in sample_plans(plan, 40) for node in each.graph.nodes)
    found = estimate(plan)
    assert (found.pretrainings, found.pretrainings_at_most) == (2, True)


def test_what_every_point_pre_trains_is_no_upper_bound() -> None:
    text = "node a, t = resnet8 target a edge label -> a edge t -> a : kl via {gate}"
    always = estimate(sound(f"graph g {{ {text.format(gate='linear | correct')} }}"))
    assert (always.pretrainings, always.pretrainings_at_most) == (1, False)
    sometimes = estimate(sound(f"graph g {{ {text.format(gate='linear | cutoff')} }}"))
    assert (sometimes.pretrainings, sometimes.pretrainings_at_most) == (1, True)


def test_with_an_open_rate_each_trial_pre_trains_a_network_of_its_own() -> None:
    text = """
    graph g { node a, t = resnet8 target a edge label, t -> a }
    train { optimizer = sgd(lr=log(0.01 .. 0.1)) }
    search { trials = 500 }
    """
    assert estimate(sound(text)).pretrainings == 500


def test_no_more_points_are_lowered_for_more_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    lowered: list[Point] = []

    def counted(plan: Plan, at: Point) -> Plan | None:
        lowered.append(at)
        return plan_at(plan, at)

    monkeypatch.setattr("ktgdsl.searching.estimate.plan_at", counted)
    names = ", ".join(f"n{number}" for number in range(40))
    text = "node {} = resnet8 | resnet14 target n0 edge label -> * {} edge n1 -> n0 : kl via linear"
    estimate(sound(graph(text.format(names, ""))))
    assert len(lowered) == SAMPLED_POINTS
    lowered.clear()
    estimate(sound(graph(text.format(names, "via through | cutoff"))))
    assert SAMPLED_POINTS < len(lowered) <= SAMPLED_POINTS + MAX_NODES * (2 * 2 + 2)


def test_few_points_are_lowered_of_a_large_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan at a point of one takes long: they have so many draws together."""
    lowered: list[Point] = []
    monkeypatch.setattr("ktgdsl.searching.estimate.plan_at", lambda _, at: lowered.append(at))
    monkeypatch.setattr("ktgdsl.searching.estimate.MAX_TOTAL_DRAWS", 1_000)
    text = "node n[12] = resnet8 target n[0] edge label -> * edge * -> * : kl via {}"
    plan = sound(graph(text.format("through | cutoff")))
    assert sample_plans(plan, SAMPLED_POINTS) == []
    assert len(lowered) == 1_000 // (12 * 11)


def test_different_nodes_are_tried_to_be_idle_once_each() -> None:
    """`c` and `d` are alike but for their networks, and `b` is always taught."""
    text = """
        node a, b = resnet8 node c = resnet14 node d, e = resnet20 target a edge label -> a, b
        edge c, d, e -> a : kl edge label -> c, d, e via through | cutoff
    """
    found = estimate(sound(graph(text)))
    assert (found.pretrainings, found.pretrainings_at_most) == (2, True)


def test_sampled_points_are_plans_without_open_values() -> None:
    plan = sound(
        """
        graph g { node a = resnet8 target a edge label -> a via 0.5 .. 1 }
        train { epochs = 2 .. 5  optimizer = sgd(lr=log(0.01 .. 0.1)) }
        """
    )
    found = sample_plans(plan, 40)
    assert len(found) == 40
    assert {each.train.epochs for each in found} == {2, 3, 4, 5}
    assert all(each.space is None for each in found)


def test_a_spec_costs_no_search() -> None:
    with pytest.raises(ValueError, match="leaves nothing open"):
        estimate(sound("graph g { node a = resnet8 target a edge label -> a }"))


def test_plan_says_it(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "specs/paper/space_7.ktg", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    # M^(N-1) G^(N²) points; a target is without a live edge when all seven into it are cut.
    assert facts["raw"] == 3**6 * 4**49
    assert facts["invalid"] == 3**6 * 4**42
    assert facts["distinct"] == 42757848501217233666310090766
    assert facts["estimate"]["trials"] == 1500


def test_numbers_that_are_too_long_to_write_are_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of 65,280 open gates are: Python writes integers of 4,300 digits at most."""
    huge = Size(2**65_280, 2**65_279, None, 4**65_280)
    monkeypatch.setattr("ktgdsl.report.space_cost.size", lambda _: huge)
    text, facts = space_cost(sound(SPACE.format(trials=10, more="")))
    assert "points   10^19,651, 10^19,651 of them invalid" in text
    assert "graphs   too many to count: at most 10^39,302" in text
    assert json.loads(json.dumps(facts))["raw"] is None


def test_plan_measures_the_hours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = tmp_path / "space.ktg"
    space.write_text(SPACE.format(trials=30, more=""))
    assert cli.main(["plan", str(space), "--set", "data.batch=400", "--measure"]) == 0
    assert " with one worker, " in capsys.readouterr().out


def test_a_range_has_no_end_of_points(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "specs/temperature_space.ktg"]) == 0
    printed = capsys.readouterr().out
    assert "no end of them" in printed
    assert re.search(r"let\.T +1 \.\. 8\n", printed)
    assert re.search(r"train\.optimizer\.lr +log\(0\.01 \.\. 0\.3\)\n", printed)
