"""Corrections that are offered, each of which removes what it is about."""

import pytest

from ktgdsl.editor.fixes import fixes
from ktgdsl.editor.names import edited
from tests.editor.texts import document

GOOD = """\
graph g {
    node student, other = resnet8
    target student
    edge label -> student : ce
    edge other -> student : kl(T=3) via linear
    edge other.stage1 -> student.stage1 : hint
}
train { epochs = 15 aggregate = mean clip = 1.5 }
data digits { augment = standard }
"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("= resnet8", "= resnt8"),
        ("target student", "target studnt"),
        (": ce", ": cee"),
        (": kl(T", ": kll(T"),
        ("via linear", "via liner"),
        ("(T=3)", "(TT=3)"),
        ("(T=3)", "(temperature=3)"),
        ("other.stage1 ->", "other.stag1 ->"),
        ("student.stage1", "studnt.stage1"),
        ("epochs =", "epoch ="),
        ("= mean", "= means"),
        ("= mean", '= "mean"'),
        ("= 1.5", "= 1,5"),
        ("train {", "trian {"),
        ("data digits", "data digit"),
        ("= standard", "= standrad"),
    ],
)
def test_what_is_offered(right: str, wrong: str) -> None:
    text = document(GOOD.replace(right, wrong, 1))
    (fix,) = fixes(text, 0, len(text.source.text))
    assert edited(text.source, [fix.edit]).text == GOOD


def test_only_where_it_is_asked_for() -> None:
    text = document(GOOD.replace("ce", "cee", 1))
    assert fixes(text, 0, 10) == []


@pytest.mark.parametrize("wrong", ["= mean", "target student"])
def test_nothing_where_nobody_knows(wrong: str) -> None:
    text = document(GOOD.replace(wrong, f"{wrong.split()[0]} qqqqq", 1))
    assert fixes(text, 0, len(text.source.text)) == []
