"""What runs recorded becomes curves: means with spreads, phases, runs over one another."""

import json
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.errors import RunError
from ktgdsl.report.curves.charts import Chart, PhaseSpan, charts_of
from ktgdsl.report.curves.recorded import read_runs
from ktgdsl.report.curves.recorded_search import read_search
from ktgdsl.report.curves.series import Point
from ktgdsl.report.curves.trials import trial_chart
from tests.report.page.folders import write_search
from tests.report.recorded import PAIR, write_run

TWO_REPEATS = {"a": [[60.0, 70.0], [64.0, 80.0]], "b": [[50.0, 55.0], [50.0, 55.0]]}
PHASES = """
graph steps { node a, b = resnet8 target a edge label -> b edge label, b -> a }
phase first { learn = [b] epochs = 1 }
phase second { learn = [a] epochs = 2 }
"""


def charts(*folders: Path, node: str | None = None) -> list[Chart]:
    return charts_of(read_runs(folders), node)


def test_repeats_are_a_mean_with_its_deviation(tmp_path: Path) -> None:
    write_run(tmp_path / "run", TWO_REPEATS)
    accuracy, loss = charts(tmp_path / "run")
    assert (accuracy.title, loss.title) == ("test accuracy, %", "loss")
    a, b = accuracy.series
    assert (a.name, b.name) == ("a", "b")
    # The sample deviation of two numbers is their distance, divided by the root of 2.
    assert [(point.epoch, point.mean, point.n) for point in a.points] == [(1, 62, 2), (2, 75, 2)]
    assert [point.std for point in a.points] == pytest.approx([4 / 2**0.5, 10 / 2**0.5])
    assert b.last == Point(2, 55.0, 0.0, 2)
    assert [point.mean for point in loss.series[0].points] == [2.5, 1.5]


def test_a_single_run_has_no_spread(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"a": [[60.0]], "b": [[50.0]]})
    assert charts(tmp_path / "run")[0].series[0].points == (Point(1, 60.0, None, 1),)


def test_a_repeat_that_is_not_over_counts_as_far_as_it_is(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"a": [[60.0, 70.0], [64.0]]}, finished=False)
    a = charts(tmp_path / "run")[0].series[0]
    assert [(point.mean, point.n) for point in a.points] == [(62.0, 2), (70.0, 1)]


def test_phases_are_marked_and_a_node_is_drawn_where_it_is_computed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"b": [[40.0]]}, PHASES, finished=False)
    write_run(tmp_path / "other", {"a": [[40.0, 50.0, 60.0]], "b": [[40.0, 40.0, 40.0]]}, PHASES)
    lines = (tmp_path / "other" / "metrics.jsonl").read_text().splitlines(keepends=True)
    late = [line for line in lines if '"epoch": 1' not in line]
    run.metrics.write_text(run.metrics.read_text() + "".join(late))
    accuracy, loss = charts(tmp_path / "run")
    assert accuracy.phases == (PhaseSpan("first", 1, 1), PhaseSpan("second", 2, 3))
    assert [point.epoch for point in accuracy.series[0].points] == [2, 3]
    # A loss is another in each phase: no line leads from one to the next.
    assert [len(piece) for piece in loss.series[1].pieces] == [1, 2]
    assert [len(piece) for piece in accuracy.series[1].pieces] == [3]


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [('"epoch": 2', f'"epoch": {10**400}'), ('"test_accuracy": 70', '"test_accuracy": 1e308')],
)
def test_a_number_that_no_training_has_is_damage(tmp_path: Path, whole: str, damaged: str) -> None:
    run = write_run(tmp_path / "run", TWO_REPEATS)
    text = run.metrics.read_text()
    assert whole in text
    run.metrics.write_text(text.replace(whole, damaged))
    with pytest.raises(RunError, match=r"line \d of .* is damaged"):
        charts(tmp_path / "run")


def test_phases_that_end_early_by_the_repeat_are_not_marked(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"a": [[1.0, 2.0, 3.0]] * 2, "b": [[1.0] * 3] * 2}, PHASES)
    lines = run.metrics.read_text().splitlines(keepends=True)
    early = '{"repeat": 2, "phase": "first", "epoch": 2'
    lines = [line.replace(early.replace("first", "second"), early) for line in lines]
    run.metrics.write_text("".join(lines))
    assert charts(tmp_path / "run")[0].phases == ()


def test_a_node_has_its_accuracies_its_losses_by_edge_and_its_gates(tmp_path: Path) -> None:
    write_run(tmp_path / "run", TWO_REPEATS)
    accuracy, loss, gates = charts(tmp_path / "run", node="a")
    assert [each.name for each in accuracy.series] == ["test", "training"]
    assert [each.name for each in loss.series] == ["label", "b", "sum"]
    assert [each.name for each in gates.series] == ["label", "b"]
    assert [point.mean for point in gates.series[1].points] == [0.5, 1.0]
    assert [each.name for each in charts(tmp_path / "run", node="b")[1].series] == ["label"]


def test_the_metrics_that_a_plan_names_have_charts(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", TWO_REPEATS, PAIR.replace("epochs", "metrics = [f1] epochs"))
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    lines = [{**line, "test_f1": 10.0 * line["epoch"]} for line in lines]
    run.metrics.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    f1 = charts(tmp_path / "run")[2]
    assert f1.title == "test macro F1, %"
    assert [point.mean for point in f1.series[0].points] == [10.0, 20.0]


def test_a_search_has_the_curves_of_its_trials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_search(tmp_path / "found", trials=10)
    chart = trial_chart(read_search(tmp_path / "found"))
    assert chart.title == "validation accuracy of a by trial, %"
    assert [each.name for each in chart.series] == [f"trial {n}" for n in range(9, 1, -1)]
    assert [each.name for each in chart.background] == ["trial 0", "trial 1"]
    assert chart.series[0].last.mean == 73.0
    assert cli.main(["curves", str(tmp_path / "found")]) == 0
    assert "trial 9  73.00" in capsys.readouterr().out
    assert cli.main(["curves", str(tmp_path / "found"), "--node", "a"]) == 2


def test_runs_are_drawn_over_one_another_by_their_targets(tmp_path: Path) -> None:
    write_run(tmp_path / "x" / "run", TWO_REPEATS)
    write_run(tmp_path / "y" / "run", {"a": [[1.0]], "b": [[2.0]]})
    held_out = PAIR.replace("train {", "data digits { holdout = true } train {")
    write_run(tmp_path / "z", {"a": [[3.0]], "b": [[4.0]]}, held_out)
    one, other, third = tmp_path / "x" / "run", tmp_path / "y" / "run", tmp_path / "z"
    accuracy, _ = charts(one, other)
    assert accuracy.title == "test accuracy of a, %"
    assert [each.name for each in accuracy.series] == [str(one), str(other)]
    assert accuracy.series[1].last.mean == 1.0
    assert charts(one, other, node="b")[0].series[1].last.mean == 2.0
    # What is measured on other samples says so.
    accuracy, _ = charts(one, third)
    assert accuracy.title == "accuracy of a, %"
    assert [each.name for each in accuracy.series] == ["run (test)", "z (validation)"]


def test_what_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", TWO_REPEATS)
    empty = write_run(tmp_path / "empty", {"a": [[]], "b": [[]]}, finished=False)
    for folder, node, message in (
        (tmp_path / "none", None, "there is no folder"),
        (empty.path, None, "no epoch of the run"),
        (run.path, "c", "has no node `c`"),
    ):
        with pytest.raises(RunError, match=message):
            charts(folder, node=node)
    text = run.metrics.read_text()
    run.metrics.write_text(text + '{"repeat": 1, "ep')  # torn: it is being written
    assert len(charts(run.path)[0].series) == 2
    run.metrics.write_text('{"repeat": 1}\n' + text)
    with pytest.raises(RunError, match=r"line 1 of .* is damaged"):
        charts(run.path)
