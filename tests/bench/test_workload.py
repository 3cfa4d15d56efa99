"""The plan that is measured: of a spec its own, of a space a typical one."""

from ktgdsl.bench.workload import choose_workload
from tests.plans import tiny_plan
from tests.specs import sound


def test_a_spec_is_measured_itself() -> None:
    plan = tiny_plan()
    found = choose_workload(plan)
    assert (found.plan, found.pretrainings, found.search) == (plan, (), None)


def test_equal_teachers_are_pre_trained_once() -> None:
    plan = sound("""
    graph g {
        node a = resnet8
        node t, u = resnet14
        node v = wrn10_2
        target a
        edge label, t, u, v -> a
    }
    """)
    found = choose_workload(plan).pretrainings
    assert [what for what, _ in found] == ["t, u (resnet14)", "v (wrn10_2)"]
    assert [each.graph.nodes[0].learns for _, each in found] == [True, True]


def test_the_graph_of_a_space_is_nearest_to_the_mean() -> None:
    """Three networks, each a block larger than the one before."""
    plan = sound("""
    graph g {
        node a = resnet8 | resnet14 | resnet20
        target a
        edge label -> a
    }
    search { trials = 30 epochs = 3 pruner = none }
    """)
    found = choose_workload(plan)
    assert found.plan.space is None
    assert str(found.plan.graph.nodes[0].network) == "resnet(depth=14, stride=1)"
    assert found.plan.train.epochs == 3
    assert found.plan.data.holdout
    assert found.search is not None
    assert found.search.trials == 3
