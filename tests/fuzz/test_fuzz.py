"""A few of the inputs of `python -m tests.fuzz`, and how it finds, shrinks and keeps what fails."""

import sys
from itertools import count
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import __main__ as command
from tests.fuzz.campaign import Target, failure, keep, run
from tests.fuzz.shrinking import shrunk
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_some_inputs(name: str) -> None:
    number = 200 if name == "parser" else 15
    done = run(name, TARGETS[name], iter(range(number)), shrink=False)
    assert not done.findings, [each.failure for each in done.findings.values()]
    assert done.inputs == number


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_inputs(name: str) -> None:
    done = run(name, TARGETS[name], iter(range(100, 20_100)), shrink=False)
    assert not done.findings, [each.failure for each in done.findings.values()]
    assert done.accepted > 0


def _fails(text: str) -> bool:
    if "bad" in text and "worse" in text:
        raise KeyError(text)
    return "good" in text


def test_what_fails_is_made_small_and_kept(tmp_path: Path) -> None:
    words = ["some good\n", "a bad one\n", "worse and worse\n"]
    target = Target(lambda random: "".join(random.choices(words, k=9)), _fails)
    done = run("t", target, iter(range(40)))
    (found,) = done.findings.values()
    assert sorted(found.smallest.split()) in (["bad", "worse"], ["badworse"], ["worsebad"])
    assert 0 < done.accepted < done.inputs == 40
    (path,) = keep(tmp_path, "t", 0, done)
    assert "KeyError" in path.read_text()
    assert repr(found.smallest) in path.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
def test_more_than_a_gigabyte_is_too_much() -> None:
    taken = failure(Target(lambda _: "", lambda text: bool(bytearray(2**31))), "")
    assert taken == ("MemoryError at any place", False)


def test_more_than_two_seconds_are_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.campaign.SECONDS", 0.02)
    endless = Target(lambda _: "", lambda _: [number for number in count() if number < 0] == [])
    assert failure(endless, "")[0] == "TimeExceeded at any place"


def test_an_input_depends_on_its_number_alone() -> None:
    seen: list[str] = []

    def see(text: str) -> bool:
        seen.append(text)
        return True

    target = Target(lambda random: str(random.random()), see)
    run("t", target, iter(range(5)))
    run("t", target, iter([3]))
    assert seen[3] == seen[5]
    assert len({*seen}) == 5


def test_shrinking_keeps_what_is_needed() -> None:
    text = "".join(Random(0).choices("ab\n", k=200))
    assert shrunk(text + "needle", lambda each: "needle" in each) == "needle"


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "table", "--inputs", "3", "--out", str(tmp_path)])
    assert command.main() == 0
    assert capsys.readouterr().out.startswith("table: 3 inputs, ")
