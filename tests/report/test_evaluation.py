"""Evaluations as text, to the letter, and as JSON."""

import json
from pathlib import Path

import ktgdsl
from ktgdsl.evaluation.result import Evaluation, NodeEvaluation
from ktgdsl.measures.counts import BINS, Bin, Counts
from ktgdsl.report.evaluation import evaluation_json, evaluation_text

PLAN = ktgdsl.loads("graph g { node a, b = resnet8 target a edge label -> * edge b -> a }")


def counts(*confusion: tuple[int, ...]) -> Counts:
    """Counts with that confusion, where half of the samples in each bin are sure by 75 %."""
    right = sum(row[number] for number, row in enumerate(confusion))
    samples = sum(map(sum, confusion))
    bins = [Bin(0, 0, 0.0)] * BINS
    bins[11] = Bin(samples, right, 0.75 * samples)
    ranks = (right, samples - right, *[0] * (len(confusion) - 2))
    return Counts(confusion, ranks, tuple(bins))


def evaluation(**nodes: tuple[Counts, ...]) -> Evaluation:
    return Evaluation(
        folder=Path("runs/g"),
        plan=PLAN,
        data="digits",
        split="test",
        classes=("cat", "dog", "cow"),
        seeds=tuple(range(len(nodes["a"]))),
        nodes={name: NodeEvaluation(runs) for name, runs in nodes.items()},
    )


ONE = evaluation(a=(counts((3, 1, 0), (2, 2, 0), (0, 0, 0)),))
TWO = evaluation(
    a=(counts((4, 0, 0), (1, 3, 0), (0, 0, 2)), counts((2, 2, 0), (1, 3, 0), (0, 0, 2))),
    b=(counts((4, 0, 0), (0, 4, 0), (0, 0, 2)), counts((4, 0, 0), (0, 4, 0), (2, 0, 0))),
)

ONE_TEXT = """\
g on the test split of digits: 8 samples, seed 0; in percent

node  role    accuracy  macro F1  calibration error
a     target  62.50     61.90     12.50

a by class
class  samples  accuracy  precision     F1
cat          4     75.00      60.00  66.67
dog          4     50.00      66.67  57.14
cow          0         -          -      -

confusion of a: a row for each label, a column for each answer
     cat  dog  cow
cat    3    1    .
dog    2    2    .
cow    .    .    .

confidence of a
confidence  samples   mean  accuracy
73 to 80          8  75.00     62.50
"""

NARROW = """\
a
  role               target
  accuracy           80.00 ± 14.14
  macro F1           83.07 ± 11.97
  calibration error  10.00 ± 7.07
b
  role               auxiliary
  accuracy           90.00 ± 14.14
  macro F1           80.00 ± 28.28
  calibration error  15.00 ± 14.14
"""


def test_a_run_of_one_seed_is_shown_without_spread() -> None:
    assert evaluation_text(ONE, ["a"], 80) == ONE_TEXT


def test_seeds_have_a_spread_and_are_together_in_what_is_detailed() -> None:
    lines = evaluation_text(TWO, ["b"], 80).splitlines()
    assert lines[0] == (
        "g on the test split of digits: 10 samples, seeds 0, 1; in percent, "
        "mean ± standard deviation"
    )
    assert lines[3].split("  ")[-1].strip() == lines[3][-len("10.00 ± 7.07") :] == "10.00 ± 7.07"
    assert "b by class, all seeds together" in lines
    assert "cow          2     50.00     100.00   66.67" in lines
    assert "cow    2    .    2" in lines


def test_a_narrow_terminal_gets_a_paragraph_for_each_node() -> None:
    assert NARROW in evaluation_text(TWO, [], 40)


def test_many_classes_have_their_mistakes_listed() -> None:
    text = evaluation_text(TWO, ["a"], 15)
    assert "most frequent mistakes of a, all seeds together, of 2 kinds\n" in text
    assert "cat    dog     2\ndog    cat     2\n" in text
    perfect = evaluation(a=(counts((4, 0, 0), (0, 4, 0), (0, 0, 2)),))
    assert "a makes no mistake" in evaluation_text(perfect, ["a"], 15)


def test_json_has_every_count() -> None:
    facts = json.loads(evaluation_json(ONE))
    node = facts["nodes"]["a"]
    assert node["accuracy"] == {"mean": 62.5, "std": None, "runs": [62.5]}
    assert node["ece"]["mean"] == 12.5
    assert node["top5"]["mean"] == 100.0
    assert node["confusion"] == [[3, 1, 0], [2, 2, 0], [0, 0, 0]]
    assert node["by_class"][0] == {
        "class": "cat", "samples": 4, "recall": 75.0, "precision": 60.0, "f1": 200 / 3, "iou": 50.0,
    }  # fmt: skip
    assert node["by_class"][2]["recall"] is None
    assert sum(each["samples"] for each in node["bins"]) == facts["samples"] == 8
    assert facts["classes"] == ["cat", "dog", "cow"]
    assert facts["digest"] == PLAN.digest
