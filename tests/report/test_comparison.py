"""Comparisons of runs in every format, to the letter where people read them."""

import csv
import io
import json
from pathlib import Path

import pytest

from ktgdsl.report.comparison import Comparison, render
from ktgdsl.report.formatting import signed
from ktgdsl.tables.finished import finished_run
from tests.written_runs import SPEC, write_run


@pytest.fixture
def comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    """Differences of 1, 2 and 3, and a run of a single other seed."""
    monkeypatch.chdir(tmp_path)
    for name, accuracies, seed in (
        ("one", [70.0, 71.0, 69.0], 0),
        ("two", [71.0, 73.0, 72.0], 0),
        ("a_b&c", [75.0], 9),
    ):
        write_run(Path(name), {"a": accuracies, "b": accuracies}, first_seed=seed)
    return Comparison([finished_run(name) for name in ("one", "two", "a_b&c")], "accuracy")


def test_text(comparison: Comparison) -> None:
    runs, differences, notes = render(comparison, "text", 90).split("\n\n")
    assert runs.splitlines() == [
        "run    node      accuracy  n  seeds",
        "one    a     70.00 ± 1.00  3  0, 1, 2",
        "two    a     72.00 ± 1.00  3  0, 1, 2",
        "a_b&c  a            75.00  1  9",
    ]
    # t = 2 sqrt(3) with two degrees of freedom, whose critical value is 4.303: 2 ± 4.303 / sqrt(3).
    assert differences.splitlines() == [
        "difference    mean   95 % interval  test       n      p",
        "two - one    +2.00  -0.48 to +4.48  paired     3  0.074",
        "a_b&c - one  +5.00               -  -       1, 3      -",
        "a_b&c - two  +3.00               -  -       1, 3      -",
    ]
    assert " ".join(notes.split()) == (
        "Accuracies on the test split in percent, mean ± standard deviation over n seeds. "
        "paired: the t-test of the differences by seed, of n seeds that both have. "
        "A single seed tests nothing: train several with `--repeats`. "
        "Each p is two-sided and of its pair alone: of 3 comparisons the level that counts is "
        "0.05 / 3 = 0.017."
    )


def test_no_difference_has_no_sign(comparison: Comparison) -> None:
    one = comparison.runs[0]
    write_run(Path("same"), {"a": [71.0, 71.0, 68.0], "b": [0.0] * 3})
    text = render(Comparison([finished_run("same"), one], "accuracy"), "text", 90)
    assert "one - same  0.00  -2.48 to +2.48  paired" in text
    assert signed(-0.004) == signed(0.0) == "0.00"
    assert (signed(-0.006), signed(0.006)) == ("-0.01", "+0.01")


def test_a_narrow_terminal_has_paragraphs(comparison: Comparison) -> None:
    text = render(comparison, "text", 30)
    assert "two - one\n  mean           +2.00\n" in text
    assert max(map(len, text.splitlines())) <= 30


def test_markdown(comparison: Comparison) -> None:
    lines = render(comparison, "markdown", 80).splitlines()
    assert lines[:3] == [
        "| run | node | accuracy | n | seeds |",
        "| --- | --- | ---: | ---: | --- |",
        "| one | a | 70.00 ± 1.00 | 3 | 0, 1, 2 |",
    ]
    assert "| two - one | +2.00 | -0.48 to +4.48 | paired | 3 | 0.074 |" in lines


def test_latex(comparison: Comparison) -> None:
    lines = render(comparison, "latex", 80).splitlines()
    assert lines[:5] == [
        r"\begin{tabular}{llrrl}",
        r"\toprule",
        r"run & node & accuracy & n & seeds \\",
        r"\midrule",
        r"one & a & 70.00 $\pm$ 1.00 & 3 & 0, 1, 2 \\",
    ]
    assert r"a\_b\&c & a & 75.00 & 1 & 9 \\" in lines
    assert r"two - one & +2.00 & $-$0.48 to +4.48 & paired & 3 & 0.074 \\" in lines
    assert r"difference & mean & 95 \% interval & test & n & p \\" in lines
    assert lines[-1].startswith("% ")


def test_csv_and_json_have_numbers_as_they_are(comparison: Comparison) -> None:
    rows = [*csv.DictReader(io.StringIO(render(comparison, "csv", 80)))]
    facts = json.loads(render(comparison, "json", 80))
    assert [(row["run"], row["other"]) for row in rows] == [
        ("two", "one"), ("a_b&c", "one"), ("a_b&c", "two"),
    ]  # fmt: skip
    first, second, _ = facts["differences"]
    assert first["difference"] == float(rows[0]["difference"]) == 2.0
    assert first["low"] == float(rows[0]["low"]) == pytest.approx(2 - 4.30265 / 3**0.5, abs=1e-5)
    assert (first["test"], first["n"], first["freedom"]) == ("paired", 3, 2)
    assert (second["test"], second["p"], rows[1]["p"]) == (None, None, "")
    assert facts["runs"][0]["runs"] == [70.0, 71.0, 69.0]
    assert facts["notes"] == []


def test_other_data_are_noted(comparison: Comparison) -> None:
    write_run(Path("other"), {"a": [50.0], "b": [50.0]}, spec=f"{SPEC} data mnist")
    both = Comparison([comparison.runs[0], finished_run("other")], "accuracy")
    text = render(both, "text", 200)
    assert "Not the same data: other was tested on mnist, one on digits." in text


def test_a_baseline_is_what_all_others_are_compared_with(comparison: Comparison) -> None:
    two = comparison.runs[1]
    based = Comparison(comparison.runs, "accuracy", baseline=two)
    _, differences, notes = render(based, "text", 90).split("\n\n")
    assert differences.splitlines()[1:] == [
        "one - two    -2.00  -4.48 to +0.48  paired     3  0.074",
        "a_b&c - two  +3.00               -  -       1, 3      -",
    ]
    assert "All others are compared with the baseline, two." in " ".join(notes.split())
    assert "of 2 comparisons" in " ".join(notes.split())
    rows = csv.DictReader(io.StringIO(render(based, "csv", 80)))
    assert [(row["run"], row["other"]) for row in rows] == [("one", "two"), ("a_b&c", "two")]
    facts = json.loads(render(based, "json", 80))
    assert (facts["baseline"], len(facts["differences"])) == ("two", 2)
    assert r"one - two & $-$2.00" in render(based, "latex", 80)
    assert "| one - two | -2.00 |" in render(based, "markdown", 80)
