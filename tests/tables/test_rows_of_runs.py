"""Tables whose rows are finished runs: nothing is trained, and nothing has to be published."""

import json
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from tests.written_runs import write_run

TABLE = """
title = "Mine"
rows = [
    { label = "alone", run = "../runs/alone" },
    { label = "taught", run = "../runs/taught" },
    { label = "cut", run = "../runs/cut" },
]
"""


@pytest.fixture(autouse=True)
def _table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("table").mkdir()
    Path("table/table.toml").write_text(TABLE)
    for name, accuracies in (("alone", [70.0, 72.0, 71.0]), ("taught", [71.0, 74.0, 74.0])):
        write_run(Path("runs", name), {"a": accuracies, "b": accuracies})
    write_run(Path("runs/cut"), None)


def test_rows_are_runs_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["table", "table", "--compare", "alone"]) == 1  # as one row failed
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["row", "ours", "state", "gain", "p"]
    assert lines[3].split() == ["alone", "71.00", "±", "1.00", "(n", "=", "3)", "done", "-", "-"]
    assert lines[4].split()[:10] == [
        "taught", "73.00", "±", "1.73", "(n", "=", "3)", "done", "+2.00", "±",
    ]  # fmt: skip
    assert lines[5].split() == ["cut", "-", "failed", "-", "-"]
    assert "cut: E502 the run table/../runs/cut is not finished" in " ".join(lines)


def test_json_and_latex(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["table", "table", "--only", "alone", "--dry-run", "--format"]
    assert cli.main([*arguments, "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    (row,) = facts["rows"]
    assert facts["published_runs"] is None
    assert (row["mean"], row["runs"], row["state"]) == (71.0, [70.0, 72.0, 71.0], "done")
    assert Path(row["folder"]).resolve() == Path("runs/alone").resolve()
    assert cli.main([*arguments[:-2], "--format", "latex"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == r"\begin{tabular}{lrl}"
    assert r"alone & 71.00 $\pm$ 1.00 (n = 3) & done \\" in lines
