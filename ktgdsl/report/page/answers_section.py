"""The section about the answers of a run's networks: measures, classes, mistakes."""

from collections.abc import Iterator, Sequence

from ktgdsl.evaluation.result import Evaluation, NodeEvaluation
from ktgdsl.measures.classification import by_class
from ktgdsl.report.evaluation import (
    counted,
    most_frequent_mistakes,
    of_pixels,
    samples_text,
    score_rows,
    share_cell,
    shown_measures,
)
from ktgdsl.report.page.blocks import Block, Folded, Notes, Paragraph, Section, Table

MAX_IN_A_MATRIX = 20
"""Classes up to which the confusion is a matrix; of more the most frequent mistakes are listed."""

_MAX_MISTAKES = 30


def answers_section(evaluation: Evaluation, notes: Sequence[str] = ()) -> Section:
    """All nodes in a table, then what each answers by class.

    `notes` are what the evaluation warned of.
    """
    several = len(evaluation.seeds) > 1
    seeds = f" Classes and confusion are of all {len(evaluation.seeds)} seeds together." * several
    where = f"On the {evaluation.split} split of {evaluation.data}"
    blocks: list[Block] = [
        Paragraph(f"{where}, {samples_text(evaluation)}.{seeds}"),
        *([Notes(notes)] if notes else []),
        _measures(evaluation),
    ]
    for number, (name, node) in enumerate(evaluation.nodes.items()):
        of = [*_answers(evaluation, name, node)]
        blocks.append(
            Folded(f"classes of {'node ' * (node.head is None)}{name}", of, is_open=number == 0)
        )
    return Section("Answers", blocks)


def _measures(evaluation: Evaluation) -> Table:
    shown = shown_measures(evaluation)
    head = ["node", *(f"{heading}, %" for heading, _ in shown)]
    rows = [[name, *scores] for name, scores in score_rows(evaluation)]
    return Table("Measures of each node", head, rows, frozenset(range(1, len(head))))


def _answers(evaluation: Evaluation, name: str, node: NodeEvaluation) -> Iterator[Block]:
    measures, classes = by_class(node.counts), evaluation.classes_of(node)
    masks = of_pixels(evaluation)
    rows = []
    for label, each in zip(classes, measures, strict=True):
        shares_of = map(share_cell, (each.recall, each.precision, each.f1, *[each.iou] * masks))
        rows.append((label, f"{each.samples // len(node.runs):,}", *shares_of))
    shares = {(row, 2): (each.recall or 0) / 100 for row, each in enumerate(measures)}
    head = (
        "class",
        f"{counted(evaluation)}s",
        "accuracy, %",
        "precision, %",
        "F1, %",
        *["IoU, %"] * masks,
    )
    numbers = frozenset(range(1, len(head)))
    yield Table(f"Accuracy of {name} by class", head, rows, numbers, shares, bars=True)
    if len(classes) <= MAX_IN_A_MATRIX:
        yield _matrix(evaluation, name, node)
        return
    mistakes = most_frequent_mistakes(evaluation, node)[:_MAX_MISTAKES]
    if mistakes:
        rows3 = [(label, answer, f"{number:,}") for number, label, answer in mistakes]
        caption = f"Most frequent mistakes of {name}"
        yield Table(caption, ("label", "answer", f"{counted(evaluation)}s"), rows3, frozenset({2}))


def _matrix(evaluation: Evaluation, name: str, node: NodeEvaluation) -> Table:
    """A row for each label, a column for each answer, coloured by the share of the row."""
    confusion, classes = node.counts.confusion, evaluation.classes_of(node)
    rows = [
        (label, *(f"{each:,}" if each else "·" for each in row))
        for label, row in zip(classes, confusion, strict=True)
    ]
    shares = {
        (number, answer + 1): each / sum(row)
        for number, row in enumerate(confusion)
        for answer, each in enumerate(row)
        if each
    }
    caption = f"Confusion of {name}: a row for each label, a column for each answer"
    head = ("label", *classes)
    return Table(caption, head, rows, frozenset(range(1, len(head))), shares)
