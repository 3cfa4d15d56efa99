"""`ktgc table`: the comparison, what a table may say, and its rows brought to their end."""

import csv
import io
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ktgdsl.cli import main as cli
from ktgdsl.errors import SpecError
from ktgdsl.report.table import TableReport
from ktgdsl.report.table_display import show
from ktgdsl.tables.comparison import Comparison, Sample, compare
from ktgdsl.tables.cost import (
    Cost,
    StepTimes,
    cost_left,
    cost_of_run,
    cost_of_search,
    speed_class,
    total,
)
from ktgdsl.tables.model import Row, Table, read_table
from ktgdsl.tables.status import Rerun
from ktgdsl.training.result import NodeResult, RunResult, Score
from tests.forked import Forked
from tests.paths import ROOT
from tests.specs import graph, sound

NETWORK = 'python("tests.training.test_run:small")'
ALONE = f"""
graph alone {{ node a = {NETWORK} target a edge label -> a }}
data digits {{ batch = 256 }}
train {{ epochs = 2 repeats = 2 }}
"""
TAUGHT = f"""
let gate = through
graph taught {{
    node a, b = {NETWORK}
    target a
    edge label -> * : ce via gate
    edge b -> a : kl via gate
}}
data digits {{ batch = 256 }}
train {{ epochs = 2 repeats = 2 }}
"""
SPACE = f"""
graph found {{
    node a, b = {NETWORK}
    target a
    edge label -> *
    edge b -> a : kl via through | correct
    edge a -> b : kl via through | correct
}}
data digits {{ batch = 256 validation = 20% }}
train {{ epochs = 2 repeats = 2 }}
search {{ trials = 2 workers = 1 }}
"""
TABLE = """
title = "Digits"
published_runs = 5
[[rows]]
label = "alone"
nodes = 1
method = "fixed"
spec = "alone.ktg"
published = [90.0, 1.5]
[[rows]]
label = "missing"
nodes = 2
method = "none"
spec = "taught.ktg"
published = [99.0]
set = ["data=mnist", 'data.root="nowhere"']
[[rows]]
label = "taught"
nodes = 2
method = "fixed"
spec = "taught.ktg"
published = [91.0]
[[rows]]
label = "taught, linear"
nodes = 3
method = "fixed"
spec = "taught.ktg"
set = ["let.gate=linear"]
[[rows]]
label = "of others"
nodes = 3
method = "cited"
published = [95.0, 0.3]
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a table of digits, one of whose rows has no data."""
    for name, text in (("alone", ALONE), ("taught", TAUGHT), ("space", SPACE)):
        (tmp_path / f"{name}.ktg").write_text(text)
    (tmp_path / "table.toml").write_text(TABLE)
    return tmp_path


def ktgc(*arguments: str) -> int:
    return cli.main(["table", *arguments, "--device", "cpu"])


# The comparison


class TestDifference:
    def test_by_hand(self) -> None:
        # s² = (2 x 0.5² + 4 x 0.8²) / 6 = (0.5 + 2.56) / 6 = 0.51, and 1.2 / 0.51 ** 0.5
        ours, published = Sample(73.2, 0.5, 3), Sample(72.0, 0.8, 5)
        percent, pooled = compare(ours, published)
        assert percent == pytest.approx(1.2)
        assert pooled == pytest.approx(1.6803361008, abs=1e-9)

    def test_of_equal_numbers_of_runs_it_is_the_root_mean_square(self) -> None:
        # s = sqrt((0.3² + 0.4²) / 2) = 0.5 / sqrt(2)
        found = compare(Sample(70.0, 0.3, 5), Sample(70.5, 0.4, 5))
        assert found.d == pytest.approx(-(2**0.5))

    @pytest.mark.parametrize(
        ("ours", "published"),
        [
            (Sample(71, None, 1), Sample(70, 0.5, 5)),
            (Sample(71, 0.5, 3), Sample(70, None, 5)),
            (Sample(71, 0.0, 3), Sample(70, 0.0, 5)),
        ],
    )
    def test_without_a_deviation_the_plain_difference_is_left(
        self, ours: Sample, published: Sample
    ) -> None:
        assert compare(ours, published) == Comparison(1, None)


# What a table may say


def table_of(tmp_path: Path, text: str) -> Table:
    (tmp_path / "table.toml").write_text(text)
    return read_table(tmp_path)


ROW = '{ label = "x", spec = "x.ktg" }'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "table.toml is not TOML: Invalid value (at end of document)"),
        (f"published_runs = 5\nrows = [{ROW}]", "the table lacks `title`"),
        (
            'title = "t"\nrows = [{ label = "x", published = [1.0] }]',
            "`published_runs` says of how",
        ),
        (
            'title = "t"\nrows = [{ label = "x", run = "r", spec = "s" }]',
            "a `run` or what is to be",
        ),
        (f'title = "t"\npublished_runs = 0\nrows = [{ROW}]', "the table, `published_runs`: "),
        ('title = "t"\npublished_runs = 5\nrows = []', "the table: it has no rows"),
        (f'title = "t"\npublished_runs = 5\nrows = [{ROW}, {ROW}]', "two rows have the label `x`"),
    ],
)
def test_a_wrong_table_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        table_of(tmp_path, text)
    (wrong,) = caught.value.diagnostics
    assert wrong.code == "E509"
    assert message in wrong.message


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('label = "x", publised = [1.0]', "row `x` has no `publised`; did you mean `published`?"),
        ('spec = "x.ktg"', "row 1 lacks `label`"),
        ('label = "x", spec = "x", space = "y"', "row `x`: a row has a `spec` or a `space`"),
        ('label = "x", set = ["train.epochs=2"]', "row `x`: `set` is of no use without"),
        ('label = "x", spec = "y", searched_on = "mnist"', "row `x`: `searched_on` needs"),
        ('label = "x", published = [1, 2, 3]', "row `x`: `published` is [mean, deviation]"),
        ('label = "x", published = [nan]', "row `x`, `published.0`: "),
    ],
)
def test_a_wrong_row_is_told(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        table_of(tmp_path, f'title = "t"\npublished_runs = 5\nrows = [{{ {row} }}]')
    (wrong,) = caught.value.diagnostics
    assert message in wrong.message


def test_without_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ktgc(str(tmp_path)) == 1
    assert "error[E001]: cannot read" in capsys.readouterr().err


def test_no_row_has_the_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ktgc(str(folder), "--only", "tought") == 1
    err = capsys.readouterr().err
    assert "has tought in its label" in err
    assert "the labels are alone; missing; taught" in err


@pytest.mark.parametrize(
    ("only", "labels"),
    [
        (["taught"], ["taught"]),
        (["TAUGHT"], ["taught"]),
        (["taugh"], ["taught", "taught, linear"]),
        (["taught", "linear"], ["taught", "taught, linear"]),
        (["taught", "alone"], ["alone", "taught"]),
    ],
)
def test_a_whole_label_is_of_one_row(
    folder: Path, capsys: pytest.CaptureFixture[str], only: list[str], labels: list[str]
) -> None:
    given = [part for text in only for part in ("--only", text)]
    assert ktgc(str(folder), "--dry-run", "--format", "csv", *given) == 0
    assert [*rows_of(capsys.readouterr().out)] == labels


class TestOverrides:
    TABLE = Table.model_validate(
        {
            "title": "t",
            "published_runs": 5,
            "rows": [{"label": "x"}],
            "data": {"mnist": {"set": ["a"], "spec": ["b"], "space": ["c"]}},
        }
    )

    @pytest.mark.parametrize(
        ("row", "given", "found"),
        [
            ({"spec": "s"}, [], []),
            ({"spec": "s", "data": "svhn", "set": ["d"]}, ["data=svhn", "d"], ["d"]),
            ({"spec": "s", "data": "mnist", "set": ["d"]}, ["data=mnist", "a", "b", "d"], ["d"]),
            ({"space": "s", "data": "mnist", "set": ["d"]}, ["data=mnist", "a", "c"], ["d"]),
            (
                {"space": "s", "data": "svhn", "searched_on": "mnist"},
                ["data=mnist", "a", "c"],
                ["data=svhn"],
            ),
            (
                {"space": "s", "data": "mnist", "searched_on": "svhn"},
                ["data=svhn"],
                ["data=mnist"],
            ),
            ({"space": "s", "searched_on": "svhn"}, ["data=svhn"], []),
        ],
    )
    def test_of_a_file_and_of_what_is_found(
        self, row: dict[str, Any], given: list[str], found: list[str]
    ) -> None:
        chosen = Row(label="x", **row)
        assert self.TABLE.overrides(chosen) == given
        assert self.TABLE.overrides_of_best(chosen) == found


# What it costs


class TestCost:
    def test_of_a_run(self) -> None:
        plan = sound(TAUGHT, ["train.epochs=3", "train.repeats=4"])
        # 1,297 digits are 5 whole batches of 256.
        assert cost_of_run(plan) == Cost(runs=4, node_epochs=4 * 3 * 2, steps=4 * 3 * 5)

    def test_of_a_pre_training(self) -> None:
        body = "node a, t = resnet8 target a edge label -> a edge t -> a : kl"
        plan = sound(graph(body, "data digits { batch = 256 } train { epochs = 3 repeats = 4 }"))
        assert cost_of_run(plan) == Cost(runs=8, node_epochs=4 * 3 * 2, steps=2 * 4 * 3 * 5)

    def test_of_a_search_that_ends_nothing_early(self) -> None:
        # Four points are three graphs; three trials of two epochs, and two trainings, the target
        # alone and all gates open; 1,297 less 259 held out are 4 batches of 256.
        plan = sound(SPACE, ["search.trials=9", "search.pruner=none"])
        assert cost_of_search(plan) == Cost(runs=4 + 2, node_epochs=6 * 2 * 2, steps=6 * 2 * 4)

    def test_what_rows_share_counts_once(self, folder: Path) -> None:
        rerun = Rerun(read_table(folder), folder, folder / "out")
        alone, linear = (rerun.status(row) for row in rerun.table.rows[::3][:2])
        again = rerun.status(rerun.table.rows[0])
        costs = [cost_left(each, StepTimes([])) for each in (alone, linear, again)]
        together = {key: cost for each in costs for key, cost in each.items()}
        assert total(together.values()) == Cost(2 + 2, 2 * 2 * (1 + 2), 2 * 2 * 5 * 2)

    def test_time_is_told_of_what_was_measured_only(self, folder: Path) -> None:
        rerun = Rerun(read_table(folder), folder, folder / "out")
        alone, _, taught, linear, _ = (rerun.status(row) for row in rerun.table.rows)
        assert alone.run is not None
        assert taught.run is not None
        assert linear.run is not None
        score = Score.of([90.0, 91.0])
        result = RunResult(
            folder=folder,
            target="a",
            nodes={"a": NodeResult(accuracy=score)},
            digest=taught.run.plan.digest,
            seeds=(0, 1),
            epochs=2,
            seconds=40.0,
        )
        measured = StepTimes([type(taught)(**{**vars(taught), "result": result})])
        # 2 repeats x 2 epochs x 5 steps took 40 s, so a step takes 2 s.
        assert measured.seconds(linear.run.plan, 7) == pytest.approx(14.0)
        assert measured.seconds(alone.run.plan, 7) is None
        assert (
            speed_class(alone.run.plan)
            != speed_class(taught.run.plan)
            == speed_class(linear.run.plan)
        )


# Rows brought to their end


def rows_of(text: str) -> dict[str, dict[str, str]]:
    return {row["label"]: row for row in csv.DictReader(io.StringIO(text))}


def test_a_dry_run_trains_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ktgc(str(folder), "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Digits"
    assert [line.split() for line in lines[2:4]] == [
        [
            *("row", "published", "ours", "difference", "d", "state"),
            *("runs", "node-epochs", "steps", "time"),
        ],
        ["alone", "90.00", "±", "1.50", "-", "-", "-", "to", "do", "2", "4", "20", "-"],
    ]
    assert lines[7].split() == ["of", "others", "95.00", "±", "0.30", *"---", "cited", *"----"]
    assert "Left to do, what rows share once: 8 runs, 28 epochs of a node" in "\n".join(lines)
    assert not (folder / "runs").exists()


def test_a_dry_run_imports_no_torch(folder: Path) -> None:
    code = (
        "import sys; from ktgdsl.cli import main as cli; "
        f"assert cli.main(['table', {str(folder)!r}, '--dry-run']) == 0; "
        "assert not {'torch', 'optuna', 'matplotlib', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_to_the_end_in_all_formats(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that can be is trained, once; the row without data is told, with exit code 1."""
    assert ktgc(str(folder), "--format", "csv") == 1
    out, err = capsys.readouterr()
    found = rows_of(out)
    assert {label: row["state"] for label, row in found.items()} == {
        "alone": "done",
        "missing": "failed",
        "taught": "done",
        "taught, linear": "done",
        "of others": "cited",
    }
    assert found["missing"]["error"].startswith("E508 ")
    assert "[3/5] taught" in err
    assert "epoch 2/2" in err  # the runs are shown, and not on stdout
    alone = found["alone"]
    kept = json.loads(Path(alone["folder"], "result.json").read_text())
    runs = kept["nodes"]["a"]["accuracy"]["runs"]
    assert float(alone["mean"]) == pytest.approx(sum(runs) / 2)
    std = abs(runs[0] - runs[1]) / 2**0.5
    assert float(alone["std"]) == pytest.approx(std)
    assert alone["n"] == "2"
    far = sum(runs) / 2 - 90
    assert float(alone["difference"]) == pytest.approx(far)
    assert float(alone["d"]) == pytest.approx(far / ((std**2 + 4 * 1.5**2) / 5) ** 0.5)
    taught, linear = found["taught"], found["taught, linear"]
    assert (taught["d"], linear["difference"]) == ("", "")  # nothing to compare with
    assert taught["difference"] != ""
    assert taught["digest"] != linear["digest"]

    # What is done is not done again.
    written = sorted(path.stat().st_mtime_ns for path in folder.glob("runs/tables/*/result.json"))
    assert len(written) == 3
    assert ktgc(str(folder), "--format", "json", "--quiet") == 1
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert err == ""
    assert facts["rows"][0]["runs"] == runs
    assert facts["rows"][1]["set"] == ["data=mnist", 'data.root="nowhere"']
    assert facts["left"]["runs"] == 0  # but for what failed
    again = sorted(path.stat().st_mtime_ns for path in folder.glob("runs/tables/*/result.json"))
    assert again == written

    assert ktgc(str(folder), "--dry-run", "--only", "taught", "--only", "alone") == 0
    text = capsys.readouterr().out
    assert f"{sum(runs) / 2:.2f} ± {std:.2f} (n = 2)" in text
    assert "There is nothing left to do." in text
    assert "took " in text

    # The difference to a row, which need not be shown itself, by the seeds that both have.
    compared = ["--dry-run", "--only", "taught", "--compare", "Alone"]
    others = facts["rows"][2]["runs"]
    first, second = (a - b for a, b in zip(others, runs, strict=True))
    t = (first + second) / abs(first - second)
    p = 1 - 2 / math.pi * math.atan(abs(t))  # Cauchy's distribution, of one degree of freedom
    assert ktgc(str(folder), *compared, "--format", "csv") == 0
    row = rows_of(capsys.readouterr().out)["taught"]
    assert (row["baseline"], row["gain_n"]) == ("alone", "2")
    numbers = [float(row[name]) for name in ("gain", "gain_std", "t", "p")]
    std_of_gain = abs(first - second) / 2**0.5
    assert numbers == pytest.approx([(first + second) / 2, std_of_gain, t, p])
    assert ktgc(str(folder), *compared, "--only", "alone", "--format", "json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"][0]["gain"] is None  # over itself
    assert facts["rows"][1]["p"] == pytest.approx(p)
    assert ktgc(str(folder), *compared) == 0
    text = capsys.readouterr().out
    assert f"{(first + second) / 2:+.2f} ± {std_of_gain:.2f} (n = 2)  {p:.2g}  " in text
    assert "gain is the difference to `alone`" in text
    assert ktgc(str(folder), "--compare", "alon") == 1
    assert f"no row of {folder} has the label alon" in capsys.readouterr().err

    assert ktgc(str(folder), "--dry-run", "--format", "markdown", "--only", "alone") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "**Digits**"
    assert lines[2].startswith("| row | published | ours | difference | d | state |")
    assert lines[4].startswith(
        f"| alone | 90.00 ± 1.50 | {sum(runs) / 2:.2f} ± {std:.2f} (n = 2) |"
    )


def test_overrides_are_other_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [str(folder), "--only", "alone", "--epochs", "1", "--repeats", "1"]
    assert ktgc(*options, "--set", "search.trials=1", "--format", "csv", "--out", "there") == 0
    row = rows_of(capsys.readouterr().out)["alone"]
    assert (row["n"], row["std"], row["d"]) == ("1", "", "")
    assert float(row["difference"]) == pytest.approx(float(row["mean"]) - 90)
    assert row["folder"].startswith("there/alone-digits-")
    assert ktgc(str(folder), "--only", "alone", "--dry-run", "--format", "csv") == 0
    assert rows_of(capsys.readouterr().out)["alone"]["state"] == "to do"


@pytest.mark.usefixtures("forked_workers")
def test_a_searched_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "table.toml").write_text(
        'title = "t"\npublished_runs = 5\nrows = [{ label = "found", space = "space.ktg", '
        'set = ["train.epochs=3"] }, { label = "as it is", space = "space.ktg" }]'
    )
    assert ktgc(str(folder), "--format", "csv", "--set", "search.trials=1", "--quiet") == 0
    found = rows_of(capsys.readouterr().out)
    assert found["found"]["n"] == found["as it is"]["n"] == "2"
    plans = [json.loads(Path(row["folder"], "plan.json").read_text()) for row in found.values()]
    assert [plan["train"]["epochs"] for plan in plans] == [3, 2]
    assert plans[0]["graph"] == plans[1]["graph"]
    (searched,) = folder.glob("runs/tables/*/best.ktg")  # one search for both
    trials = json.loads((searched.parent / "result.json").read_text())["trials"]
    assert trials == 1


def test_ctrl_c_and_going_on(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun is gone on with, to the numbers of a table that nobody interrupted."""
    calls = 0

    def interrupted(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:  # the second epoch of the second row's second seed
            raise KeyboardInterrupt
        return kept(*given, **named)

    from ktgdsl.training.repeats import Run

    kept: Callable[..., Any] = Run._save_epoch
    options = [str(folder), "--only", "alone", "--only", "linear", "--format", "csv"]
    with monkeypatch.context() as patched:
        patched.setattr(Run, "_save_epoch", interrupted)
        assert ktgc(*options, "--out", "cut") == 130
    told = capsys.readouterr()
    assert told.out == ""
    assert "interrupted; 0 of 2 rows are done" in told.err
    assert ktgc(*options, "--out", "cut", "--dry-run") == 0
    states = {label: row["state"] for label, row in rows_of(capsys.readouterr().out).items()}
    assert states == {"alone": "begun", "taught, linear": "to do"}
    assert ktgc(*options, "--out", "cut") == 0
    out, err = capsys.readouterr()
    assert "going on after epoch 1 of repeat 2" in err
    assert ktgc(*options, "--out", "whole") == 0
    whole = rows_of(capsys.readouterr().out)
    means = {label: row["mean"] for label, row in rows_of(out).items()}
    assert means == {label: row["mean"] for label, row in whole.items()}


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")
def test_a_kill_and_going_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [str(folder), "--only", "linear", "--epochs", "2000", "--repeats", "1"]
    process = Forked(cli.main, ["table", *options, "--device", "cpu"])
    try:
        while not [*folder.glob("runs/tables/*/checkpoint.pt")]:
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert ktgc(*options, "--dry-run", "--format", "csv") == 0
    (row,) = rows_of(capsys.readouterr().out).values()
    assert row["state"] == "begun"
    # A plan in the folder of another training is not gone on with.
    (kept,) = folder.glob("runs/tables/*/plan.json")
    kept.write_text(kept.read_text().replace('"epochs": 2000', '"epochs": 3'))
    assert ktgc(*options, "--format", "csv") == 1
    (row,) = rows_of(capsys.readouterr().out).values()
    assert row["error"].startswith("E502 ")
    assert "is not what was written there" in row["error"]


def test_a_spec_at_fault_is_told_beside_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "alone.ktg").write_text("graph g { node a = resnet8 edge label -> a : cee }")
    assert ktgc(str(folder), "--dry-run") == 1
    out = capsys.readouterr().out
    assert "alone: E201 there is no loss called `cee` (help: did you mean `ce`?)" in out
    assert "alone: E401 " in out


def test_in_a_terminal(folder: Path) -> None:
    table = read_table(folder)
    rerun = Rerun(table, folder, folder / "out")
    statuses = [rerun.status(row) for row in table.rows]
    out = io.StringIO()
    show(TableReport(table, statuses), Console(file=out, width=100, force_terminal=True))
    lines = out.getvalue().splitlines()
    (cited,) = [line for line in lines if "of others" in line]
    assert "95.00 ± 0.30" in cited
    assert "cited" in cited
    assert all(cell_len(Text.from_ansi(line).plain) <= 100 for line in lines)


def test_in_a_narrow_terminal_a_row_is_a_paragraph(folder: Path) -> None:
    table = read_table(folder)
    statuses = [Rerun(table, folder, folder / "out").status(row) for row in table.rows]
    out = io.StringIO()
    show(TableReport(table, statuses), Console(file=out, width=36))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= 36 for line in lines)
    at = lines.index("of others")
    assert lines[at + 1 : at + 3] == ["  published   95.00 ± 0.30", "  state       cited"]


@pytest.mark.parametrize("width", [60, 80, 90, 120, 160])
def test_labels_keep_their_room(folder: Path, width: int) -> None:
    """A row's cells are whole, and a long label takes two lines."""
    long = "three networks of ResNet110, linear"
    (folder / "table.toml").write_text(TABLE.replace("taught, linear", long))
    table = read_table(folder)
    statuses = [Rerun(table, folder, folder / "out").status(row) for row in table.rows]
    out = io.StringIO()
    show(TableReport(table, statuses, costs=True), Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert all(cell_len(line) <= width for line in lines)
    head = [cell.strip() for cell in lines[2].strip("┃").split("┃")]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert all(len(row) == len(head) for row in rows)
    assert "…" not in out.getvalue()
    assert " ".join(row[0] for row in rows) == f"alone missing taught {long} of others"
    assert {"row", "published", "ours", "state"} <= {*head}
    full = ["row", "published", "ours", "difference", "d", "state"]
    full += ["runs", "node-epochs", "steps", "time"]
    spared = [name for name in full if name not in head]
    told = f"Not shown, as there is no room: {', '.join(spared)}. A pipe has all."
    assert (told in " ".join(out.getvalue().split())) == (width < 120)
    assert ("d" in head) == (width > 100)  # which has nothing in it


# The chart


class TestChart:
    def test_bars_of_a_table(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip("matplotlib")
        assert ktgc(str(folder), "--only", "alone", "--quiet") == 0
        assert ktgc(str(folder), "--dry-run", "--chart", "c.svg") == 0
        svg = Path("c.svg").read_text()
        for text in ("Digits", "digits", "nodes", "fixed", "published"):
            assert f">{text}</text>" in svg
        assert ktgc(str(folder), "--dry-run", "--chart", "c.png") == 0
        assert Path("c.png").read_bytes()[:4] == b"\x89PNG"
        capsys.readouterr()
        assert ktgc(str(folder), "--dry-run", "--chart", "no/c.png") == 1
        assert "cannot write no/c.png" in capsys.readouterr().err

    def test_rows_that_nodes_and_method_do_not_tell_apart_are_groups(self, folder: Path) -> None:
        from ktgdsl.report.table_chart import bars

        table = read_table(folder)
        rerun = Rerun(table, folder, folder / "out")
        report = TableReport(table, [rerun.status(row) for row in table.rows])
        assert [bar.group for bar in bars(report, "digits")] == ["1", "2", "3"]
        assert [bar.method for bar in bars(report, "digits")] == ["fixed"] * 3
        twice = [rerun.status(row.model_copy(update={"nodes": 2})) for row in table.rows]
        told = [bar.group for bar in bars(TableReport(table, twice), "digits")]
        assert told == ["alone", "taught", "taught, linear"]
        named = [
            rerun.status(row.model_copy(update={"nodes": None, "method": "linear"}))
            for row in table.rows
        ]
        told = [bar.group for bar in bars(TableReport(table, named), "digits")]
        assert told == ["alone", "taught", "taught"]

    def test_another_format(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            ktgc(str(folder), "--chart", "c.jpg")
        assert caught.value.code == 2
        assert "it ends in .svg or .png" in capsys.readouterr().err

    def test_without_matplotlib(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ktgdsl.report.table_chart.find_spec", lambda _: None)
        assert ktgc(str(folder), "--chart", "c.svg") == 1
        assert "a chart needs matplotlib" in capsys.readouterr().err
        assert not (folder / "runs").exists()  # told before anything is trained


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"title = " + b"[" * 100_000, "is nested too deeply"),
        (b"rows = " + b"{a = " * 100_000, "is nested too deeply"),
        (b"title = '\xff'", "is not UTF-8 text"),
        (b"", "lacks `title`"),
        (b"title = 1\npublished_runs = 1e999\nrows = 3", "`title`"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "table.toml").write_bytes(content)
    with pytest.raises(SpecError) as error:
        read_table(tmp_path)
    assert {each.code for each in error.value.diagnostics} == {"E509"}
    assert any(said in each.message for each in error.value.diagnostics)


def test_a_table_in_no_folder(tmp_path: Path) -> None:
    for folder in ("a\0b", "y" * 300, str(tmp_path)):
        with pytest.raises(SpecError) as error:
            read_table(folder)
        assert [each.code for each in error.value.diagnostics] == ["E001"]
