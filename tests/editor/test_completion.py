"""What is offered where, and that it is what the checker knows."""

from pathlib import Path

import pytest

from ktgdsl.editor.completion import complete
from ktgdsl.vocabulary.networks import STAGES
from ktgdsl.vocabulary.registry import entries, settings_of
from tests.editor.texts import MARK, at, marked

BLOCKS = ["graph", "data", "train", "pretrain", "search", "phase", "let", "use"]
MEMBERS = ["node", "target", "edge", "share"]
GATES, LOSSES = list(entries("gate")), list(entries("loss"))
OPEN = 'graph g { node a, b[2] = resnet8 node e = ema(a) node f = python("m:f") '


def offered(text: str) -> list[str]:
    return [each.label for each in complete(*marked(text))]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", BLOCKS),
        ("gra", BLOCKS),
        (OPEN, MEMBERS),
        (f"{OPEN} targ", MEMBERS),
        (f"{OPEN} }}\n", BLOCKS),
        ("graph ", []),
        ("let ", ["each"]),
        ("let each ", []),
        (f"{OPEN} node ", []),
        (f"{OPEN} edge ", ["a", "b", "e", "f", "label", "*"]),
        (f"{OPEN} edge a -> ", ["a", "b", "e", "f", "*"]),
        (f"{OPEN} edge [a, ", ["a", "b", "e", "f", "label", "*"]),
        (f"{OPEN} target ", ["a", "b", "e", "f", "*"]),
        (f"{OPEN} edge a -> b ", ["via", *MEMBERS]),
        (f"{OPEN} edge a -> b : kl ", ["via", *MEMBERS]),
        (f"{OPEN} edge a -> b : kl via linear ", MEMBERS),
        (f"{OPEN} edge a -> b : ", LOSSES),
        (f"{OPEN} edge a -> b : kl, 0.5 * ", LOSSES),
        (f"{OPEN} edge a -> b : kl via ", GATES),
        (f"{OPEN} edge a -> b : kl via 0.5 * (1 - ", GATES),
        (f"{OPEN} edge a -> b : kl(", ["T=", "scale=", "linear", "cosine"]),
        (f"{OPEN} edge a -> b : kl(T=2, ", ["scale="]),
        (f"{OPEN} edge a.", [*STAGES]),
        (f"{OPEN} edge b[0].", [*STAGES]),
        (f"{OPEN} edge e.", [*STAGES]),
        (f"{OPEN} edge f.", []),
        (f"{OPEN} edge a.stage2.", ["pre"]),
        (f"{OPEN} edge a.(stage1 | ", [*STAGES]),
        (f"{OPEN} share a, b {{ layers = [", [*STAGES]),
        (f"{OPEN} share a, b {{ ", ["layers", "grad"]),
        (f"{OPEN} node c = ensemble(a, combine=", list(entries("combine"))),
        (f"{OPEN} node c = resnet8 {{ frozen = ", ["true", "false"]),
        (f"{OPEN} node c = resnet8 {{ mode = ", ["eval", "train"]),
        ("data ", list(entries("dataset"))),
        ("data digits { augment = ", ["none", "paper", "standard"]),
        ("train { schedule = ", list(entries("schedule"))),
        ("train { metrics = [top5, ", ["top5", "f1", "ece", "miou"]),
        ("train { optimizer = sgd(", [*entries("optimizer")["sgd"].positions()]),
        (f"{OPEN} }}\nphase p {{ learn = [", ["a", "b", "e", "f"]),
        (f"phase p {{ }}\n{OPEN} edge a -> b via during(", ["p"]),
        ("search { objective = ", list(entries("objective"))),
        (f"{OPEN} }}\nsearch {{ objective = accuracy(a, on=", ["validation", "test"]),
        (f"{OPEN} }}\nsearch {{ objective = accuracy(", ["of=", "on=", "a", "b", "e", "f"]),
        ("# no", []),
        ('data folder("', []),
    ],
)
def test_what_is_offered(before: str, expected: list[str]) -> None:
    found = offered(before + MARK)
    is_optimizer = before.endswith("sgd(")
    assert found == ([f"{name}=" for name in expected] if is_optimizer else expected)


@pytest.mark.parametrize("block", ["data", "train", "pretrain", "search"])
def test_settings_that_are_not_there_yet(block: str) -> None:
    names = list(settings_of(block).model_fields)
    first = names.pop(0)
    head = f"{block} digits" if block == "data" else block
    assert offered(f"{head} {{ {first} = 3 {MARK}") == names


def test_lets_and_what_they_are() -> None:
    found = {each.label: each for each in complete(*at("T=T‸"))}
    assert found["T"].documentation == "```ktg\nlet T = 2 * 2\n```\n\nIt is `4`."


def test_what_is_written_with_it() -> None:
    (setting,) = (e for e in complete(*marked("data digits { ba‸")) if e.label == "batch")
    assert setting.text == "batch = "
    (setting,) = (e for e in complete(*marked("data digits { ba‸ = 3 }")) if e.label == "batch")
    assert setting.text == "batch"


def test_lets_of_used_files(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "base.ktg").write_text("let rate = 0.1", encoding="utf-8")
    (tmp_path / "other.txt").touch()
    use = 'use "recipes/base.ktg"\n'
    found = complete(*marked(f"{use}train {{ clip = {MARK}", tmp_path))
    assert [each.label for each in found] == ["rate"]
    paths = complete(*marked(f'use "{MARK}', tmp_path))
    assert [each.label for each in paths] == ["recipes/"]
    paths = complete(*marked(f'use "recipes/b{MARK}"', tmp_path))
    assert [each.label for each in paths] == ["base.ktg"]
