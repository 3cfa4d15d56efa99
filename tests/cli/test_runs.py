"""`ktgc runs`: the list to the letter, and as JSON."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.report.run_list import run_list_text
from ktgdsl.tables.found_runs import found_runs
from tests.written_runs import write_run

NOW = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)


@pytest.fixture
def _runs() -> None:
    """Three runs: finished, stopped a day before, and damaged."""
    write_run(Path("runs/g"), {"a": [70.0, 72.0], "b": [60.0, 61.0]})
    before = (NOW - timedelta(days=1, hours=3)).isoformat()
    write_run(Path("runs/cut"), None, started=before)
    write_run(Path("runs/broken"), None)
    Path("runs/broken/plan.json").write_text("{")


@pytest.mark.usefixtures("_runs")
def test_the_list() -> None:
    assert run_list_text(found_runs("runs"), NOW, 80).splitlines() == [
        "folder       spec  target  accuracy      n  state              age",
        "runs/g       g     a       71.00 ± 1.41  2  done        30 minutes",
        "runs/cut     g     a       -             1  stopped          1 day",
        "runs/broken  -     -       -             -  unreadable           -",
        "",
        "unreadable: runs/broken/plan.json cannot be read as a plan: it is damaged, or of "
        "another version",
    ]


@pytest.mark.usefixtures("_runs")
def test_a_narrow_terminal_has_fewer_columns_or_paragraphs() -> None:
    lines = run_list_text(found_runs("runs"), NOW, 40).splitlines()
    assert run_list_text(found_runs("runs"), NOW, 57).splitlines()[:3] == [
        "folder       target  accuracy      state              age",
        "runs/g       a       71.00 ± 1.41  done        30 minutes",
        "runs/cut     a       -             stopped          1 day",
    ]
    assert lines[:4] == ["runs/g", "  spec      g", "  target    a", "  accuracy  71.00 ± 1.41"]


def test_a_pipe_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("runs") / ("long" * 25)
    write_run(folder, {"a": [70.0], "b": [60.0]})
    assert cli.main(["runs"]) == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line.split()[:5] == [str(folder), "g", "a", "70.00", "1"]


@pytest.mark.usefixtures("_runs")
def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs", "--json"]) == 0
    done, stopped, broken = json.loads(capsys.readouterr().out)
    assert (done["folder"], done["accuracy"]["runs"]) == ("runs/g", [70.0, 72.0])
    assert (stopped["state"], stopped["accuracy"]) == ("stopped", None)
    assert (broken["state"], broken["graph"]) == ("unreadable", None)


def test_nothing_was_run_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["runs"]) == 0
    assert "no run was found: `ktgc run SPEC` makes one" in capsys.readouterr().out
    assert cli.main(["runs", "nowhere"]) == 1
    assert "E502" in capsys.readouterr().err
