"""Several objectives: what is drawn, kept and said of them, by pretended workers and real ones."""

import json
from pathlib import Path
from typing import Any, cast

import optuna
import pytest
from optuna.pruners import MedianPruner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

import ktgdsl
from ktgdsl.backend.networks import make
from ktgdsl.errors import RunError
from ktgdsl.files import sealed_json
from ktgdsl.plan.goals import Goal, goals_of
from ktgdsl.plan.model import Plan
from ktgdsl.plan.validity import why_invalid
from ktgdsl.report.curves.front_chart import front_drawings
from ktgdsl.report.curves.recorded_search import read_search
from ktgdsl.report.describe import describe
from ktgdsl.report.page.blocks import Figures
from ktgdsl.report.page.front_section import front_section
from ktgdsl.report.pictures.shapes import Circle, Text
from ktgdsl.report.search_text import comparison, plain_search_listener
from ktgdsl.searching import search_run
from ktgdsl.searching.coordinator import Coordinator
from ktgdsl.searching.result import SearchResult
from ktgdsl.searching.search_run import SearchOutcome
from ktgdsl.searching.study.pruning import pruner_of
from ktgdsl.searching.study.sampling import DistinctSampler
from ktgdsl.searching.study.study import Study, values_of
from ktgdsl.training.costs import cost
from tests.plans import tiny_plan
from tests.searching.test_coordinator import Pretence
from tests.searching.test_search import Pretended, rows
from tests.searching.workers.test_worker import FakeCoordinator, alone, serve, task
from tests.specs import sound

SPACE = """
graph g {{
    node a = resnet8 | resnet14 | resnet20
    node b = resnet8
    target a
    edge label -> * via through | cutoff | linear | correct
    edge b -> a : kl via correct | linear | cutoff
}}
data digits
train {{ epochs = 3 }}
search {{ trials = 12  objective = [accuracy(a), -parameters(a)]  {} }}
"""
SMALL = "sampler = nsga2(population=4)"


def space(more: str = SMALL) -> Plan:
    return sound(SPACE.format(more))


def study(path: Path, plan: Plan) -> Study:
    """A study as a search makes it."""
    assert plan.search is not None
    names = list(map(str, goals_of(plan.search)))
    return Study(path, "g", DistinctSampler(plan), pruner_of(plan.search), names)


# What a spec says


def test_nsga_2_draws_and_nobody_is_pruned_unless_the_spec_says_how_to_draw() -> None:
    plan = space("")
    assert plan.search is not None
    assert str(plan.search.sampler) == "nsga2(seed=0, population=50)"
    assert str(plan.search.pruner) == "none"
    assert goals_of(plan.search) == (Goal("accuracy", "a"), Goal("parameters", "a"))
    assert plan.search.objective == plan.search.goals[0]
    assert not why_invalid(plan)
    text = describe(plan, {})
    assert "[accuracy(a), -parameters(a)]" in text
    assert "none (with several objectives nobody is pruned)" in text
    other = space("sampler = tpe  pruner = none").search
    assert other is not None
    assert str(other.sampler) == "tpe(seed=0)"


def test_a_list_of_one_is_that_objective() -> None:
    one, listed = (sound(SPACE.format("").replace("[accuracy(a), -parameters(a)]", text))
                   for text in ("accuracy(a)", "[accuracy(a)]"))  # fmt: skip
    assert one.search == listed.search
    assert one.search is not None
    assert one.search.goals == ()


def test_the_first_measure_judges_wherever_it_stands() -> None:
    plan = sound(SPACE.format("").replace("[accuracy(a), -para", "[-flops(a), f1(a), -para"))
    assert plan.search is not None
    assert (plan.search.measured, plan.search.metric) == ("f1 of a", "f1")
    assert [str(each) for each in goals_of(plan.search)] == ["-flops(a)", "f1(a)", "-parameters(a)"]


def test_a_plan_of_an_older_version_has_one_objective() -> None:
    content = json.loads(sound(SPACE.format("").replace(", -parameters(a)", "")).to_json())
    del content["search"]["goals"], content["search"]["keep"]
    old = Plan.from_json(json.dumps(content))
    assert old.search is not None
    assert (old.search.goals, old.search.keep) == ((), 0)


# The search


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchOutcome, list[str]]:
    """A search by workers that pretend, and its lines."""
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_run, "Pool", Pretended)
        out = tmp_path_factory.mktemp("goals") / "out"
        listener = plain_search_listener(lines.append)
        found = ktgdsl.search(space(), out=out, workers=1, listener=listener)
    return found, lines


Found = tuple[SearchOutcome, list[str]]


def test_the_front_is_in_the_result_and_in_files(found: Found) -> None:
    outcome, _ = found
    result, folder = outcome.result, outcome.result.folder
    trials = outcome.study.trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert [*map(len, map(values_of, trials))] == [3] * 12
    assert result.objectives == ("accuracy(a)", "-parameters(a)")
    assert sorted(each.trial for each in result.front) == sorted(
        t.number for t in outcome.study.best_trials
    )
    assert 1 < len(result.front) < 12
    accuracies = [each.values["accuracy(a)"] for each in result.front]
    assert accuracies == sorted(accuracies, reverse=True)
    assert [*result.front[0].values] == ["accuracy(a)", "parameters(a)"]
    for place, each in enumerate(result.front, start=1):
        assert each.spec == f"front/{place:02}.ktg"
        graph = ktgdsl.load(folder / each.spec)
        assert graph.graph.node("a").network.arguments["depth"] == each.values["parameters(a)"]
        assert each.values["accuracy(a)"] == pytest.approx(max(
            values_of(trials[each.trial]).items())[1])  # fmt: skip
    assert not (folder / "top").exists()
    assert [each.trial for each in result.finalists] == [e.trial for e in result.front[:3]]
    best = ktgdsl.load(folder / "best.ktg")
    assert best.digest == ktgdsl.load(folder / "front/01.ktg").digest == outcome.best.digest
    first = result.front[0].values
    comment = f"accuracy(a) {first['accuracy(a)']:.2f} %, parameters(a) {first['parameters(a)']}"
    assert f"# on the front: {comment}" in (folder / "best.ktg").read_text()
    assert {row["parameters(a)"] for row in rows(folder)} <= {"8", "14", "20"}
    again = SearchResult.from_json((folder / "result.json").read_text(), folder)
    assert again == result


def test_it_says_who_comes_to_the_front_and_shows_it(found: Found) -> None:
    outcome, lines = found
    result = outcome.result
    first = next(line for line in lines if line.startswith("on the front"))
    assert first.startswith("on the front: trial 0, accuracy(a) ")
    assert first.endswith("; it is alone there")
    assert any(line.startswith("new best by accuracy(a): ") for line in lines)
    assert f"best graph, by accuracy(a): trial {result.best.trial}" in "\n".join(lines)
    start = lines.index(
        f"the front, {len(result.front)} graphs: no other is better in one objective without "
        "being worse in another"
    )
    assert lines[start + 1].split() == ["accuracy(a)", "parameters(a)", "graph"]
    for line, each in zip(lines[start + 2 :], result.front, strict=False):
        accuracy, depth = each.values.values()
        words = ["trial", f"{each.trial}", f"{accuracy:.2f}", "%", f"{depth}", each.spec]
        assert line.split() == words
    alone, through = lines[start + 2 + len(result.front) :][:2]  # one table has all
    for line, (name, score) in zip((alone, through), result.baselines.items(), strict=True):
        assert line.split() == [*name.split(), *str(score).split()]
    assert sum(line.startswith("target alone") for line in lines[start:]) == 1


def test_optuna_s_programs_see_the_objectives(found: Found) -> None:
    path = found[0].result.folder / "study.journal"
    study = optuna.load_study(study_name="g", storage=JournalStorage(JournalFileBackend(str(path))))
    assert study.metric_names == ["accuracy(a)", "-parameters(a)"]
    assert {direction.name for direction in study.directions} == {"MAXIMIZE"}
    generations = [t.system_attrs["NSGAIISampler:generation"] for t in study.trials]
    assert sorted(generations) == generations
    assert max(generations) == 2  # four trials each


def test_the_page_draws_the_front_and_has_its_numbers(found: Found) -> None:
    outcome, _ = found
    search = read_search(outcome.result.folder)
    (section,) = front_section(search)
    (figures,) = (each for each in section.blocks if isinstance(each, Figures))
    (figure,) = figures.figures
    assert figure.numbers is not None
    marked = [row[0] for row in figure.numbers.rows if row[-1] == "yes"]
    assert marked == [f"{each.trial}" for each in outcome.result.front]
    assert len(figure.numbers.rows) == 12
    assert search.plan.search is not None
    (drawing,) = front_drawings(goals_of(search.plan.search), search.trials)
    dots = [shape for shape in drawing.shapes if isinstance(shape, Circle)]
    large = [dot.tooltip for dot in dots if dot.radius == max(each.radius for each in dots)]
    assert len(dots) == 12
    assert [text.partition(":")[0] for text in large] == [f"trial {number}" for number in marked]
    texts = [shape.text for shape in drawing.shapes if isinstance(shape, Text)]
    assert {"accuracy(a), % against parameters(a)", *marked} <= {*texts}
    assert search.importances


def test_a_search_of_one_objective_has_no_front(tmp_path: Path) -> None:
    result = SearchResult.from_json(
        sealed_json({
            "target": "a", "finalists": [{"trial": 0, "value": 50.0, "epochs": 3, "seed": 1,
            "digest": "d", "canonical_digest": "c", "spec": "top/01.ktg"}], "complete": True,
            "trials": 1, "states": {"complete": 1}, "baselines": {}, "validation_samples": 10,
            "epochs": 3, "epochs_trained": 3, "seconds": 1.0, "exhausted": False,
        }),
        tmp_path,
    )  # fmt: skip
    assert (result.front, result.objectives, result.pruned, result.kept) == ((), (), (), ())


@pytest.mark.parametrize("workers", [1, 3])
def test_cut_off_and_resumed_it_is_the_same_search(tmp_path: Path, workers: int) -> None:
    plan = space()

    def asked(path: Path) -> list[Any]:
        return account_of(path, plan, workers)

    whole = asked(tmp_path / "whole")
    journal = (tmp_path / "whole").read_bytes()
    ends = [end for end, byte in enumerate(journal, start=1) if byte == ord("\n")]
    for end in ends[5 : -1 : len(ends) // (4 if workers == 1 else 1)]:
        path = tmp_path / f"cut-{end}"
        path.write_bytes(journal[:end])
        again = asked(path)
        if workers == 1:
            assert again == whole
        else:  # which report comes first may differ, and with it whom NSGA-II breeds from
            assert [number for number, *_ in again] == [number for number, *_ in whole]


def account_of(path: Path, plan: Plan, workers: int) -> list[Any]:
    """All that is known of the trials of a search whose journal is there."""
    opened, pool = study(path, plan), cast("Any", Pretence(workers))
    Coordinator(plan, opened, lambda _: None, improved=lambda _: None).trials(pool)
    return [
        (t.number, t.state.name, t.params, values_of(t), t.values, t.user_attrs)
        for t in opened.trials
    ]


@pytest.mark.parametrize("keep", [1, 100])
def test_the_networks_of_the_front_are_kept(
    tmp_path: Path, keep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.searching.test_kept_trials import Leaving

    monkeypatch.setattr(search_run, "Pool", Leaving)
    monkeypatch.setattr(Leaving, "last", 3)
    found = ktgdsl.search(space(f"{SMALL} keep = {keep}"), out=tmp_path / "out", workers=1)
    numbers = [each.trial for each in found.result.front][:keep]
    assert found.result.kept == tuple(f"kept/trial-{number}" for number in numbers)
    assert {path.name for path in (tmp_path / "out/kept").iterdir()} == {
        f"trial-{number}" for number in numbers
    }


def test_further_seeds_do_not_change_who_is_on_the_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_run, "Pool", Pretended)
    found = ktgdsl.search(space(f"{SMALL} confirm = 1"), out=tmp_path / "out", workers=1)
    assert [e.trial for e in found.result.finalists] == [e.trial for e in found.result.front[:3]]
    assert all(each.confirmed for each in found.result.finalists)
    head, *table = comparison(found.result)
    assert head == ("", "accuracy(a)", "parameters(a)", "further seeds", "graph")
    for row, each in zip(table, found.result.finalists, strict=False):
        assert (row[0], row[3]) == (f"trial {each.trial}", str(each.confirmed))
    name, score = next(iter(found.result.baselines.items()))
    assert (name, "-", "", str(score), "") in table


def test_a_pruner_of_the_caller_s_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="this search has 2 objectives") as caught:
        ktgdsl.search(space(), out=tmp_path / "out", pruner=MedianPruner())
    assert caught.value.diagnostics[0].code == "E411"
    assert not (tmp_path / "out").exists()


# What is measured


def test_a_worker_measures_all_objectives_at_the_end(tmp_path: Path) -> None:
    goals = Goal("accuracy", "a"), Goal("parameters", "a"), Goal("flops", "a"), Goal("f1", "a")
    plan = alone(2)
    plan = plan.model_copy(update={"train": plan.train.model_copy(update={"metrics": ("f1",)})})
    coordinator = serve(tmp_path, FakeCoordinator(task(plan, goals=goals)))
    first, last = coordinator.reports
    assert first.values == ()
    accuracy, parameters, flops, f1 = last.values
    assert accuracy == last.value
    assert parameters == -(64 * 10 + 10)
    assert flops == -2 * 64 * 10  # the product of the only layer
    assert 0 < f1 <= 100
    assert f1 != accuracy


def test_costs_are_those_of_the_networks() -> None:
    plan = tiny_plan("ab", [("label", "a"), ("label", "b")])
    network = make("resnet", {"depth": 8}, 1, 10)
    count = sum(each.numel() for each in network.parameters())
    assert cost(plan, "a", "parameters") == count
    ensemble = sound("""
        graph g {
            node a, b = resnet8
            node both = ensemble(a, b)
            target a
            edge label -> a, b
            edge both -> a : kl
        }
        data digits
    """)
    assert cost(ensemble, "both", "parameters") == 2 * cost(ensemble, "a", "parameters")
    assert cost(ensemble, "both", "flops") == 2 * cost(ensemble, "a", "flops") > 0
