"""Where the user's own code raised an exception, and what its arguments were meant to be."""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from ktgdsl.backend.own_code_errors import argument_meant, describe_with_place
from ktgdsl.backend.user_code import UnusableError, call_user_function

CODE = """\
import json

def inner(text):
    raise ValueError("my own bug")

def outer():
    return inner("x")

def library():
    return json.loads("{")

def net(classes, width=4):
    return width
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_with_bugs.py").write_text(CODE)
    yield tmp_path
    sys.modules.pop("own_with_bugs", None)


def problem(folder: Path, name: str, **arguments: object) -> tuple[str, str | None]:
    with pytest.raises(UnusableError) as caught:
        call_user_function(f"own_with_bugs:{name}", str(folder), **arguments)
    return str(caught.value), caught.value.help


def test_the_innermost_line_of_the_users_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = "fails: ValueError: my own bug (own_with_bugs.py:4, in inner)"
    assert problem(folder, "outer") == (inner, None)
    said, _ = problem(folder, "library")
    assert said.endswith("(own_with_bugs.py:10, in library)")
    monkeypatch.chdir(folder.parent.parent)
    relative = (folder / "own_with_bugs.py").relative_to(folder.parent.parent)
    assert problem(folder, "outer")[0].endswith(f"({relative}:4, in inner)")


def test_a_module_that_fails_while_it_is_imported(folder: Path) -> None:
    (folder / "own_failing.py").write_text("x = 1\n1 / 0\n")
    with pytest.raises(UnusableError, match=r"ZeroDivisionError: .* \(own_failing.py:2\)$"):
        call_user_function("own_failing:net", str(folder))


def test_code_of_others_has_no_place() -> None:
    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads("{")
    error = caught.value.with_traceback(caught.tb.tb_next)  # without the line of this test
    assert describe_with_place(error) == f"JSONDecodeError: {error}"


def test_a_misspelt_argument(folder: Path) -> None:
    said, help = problem(folder, "net", classes=2, widht=8)
    assert said == "fails: TypeError: net() got an unexpected keyword argument 'widht'"
    assert help == "did you mean `width`?"
    assert problem(folder, "net", classes=2, x=8)[1] == "it has `classes`, `width`"
    assert problem(folder, "net")[1] is None


def test_arguments_that_no_signature_tells() -> None:
    assert argument_meant(dict, 0, ["widht"]) is None
    assert argument_meant(lambda **more: more, 0, ["widht"]) is None
    assert (
        argument_meant(import_module("math").sqrt, 1, ["base"]) == "it has no arguments of its own"
    )
