"""`ktgc check`: what is printed where, in which format, and the exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from tests.cli.specs import DML3, DROPPED, TYPO
from tests.paths import ROOT


def test_a_sound_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", DML3]) == 0
    assert capsys.readouterr() == ("1 file checked: no errors\n", "")


def test_a_typo(typo: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", DML3, typo]) == 1
    out, err = capsys.readouterr()
    assert "error[E201]: there is no gate called `lineer`" in out
    assert f"{typo}:1:62" in out
    assert "help: did you mean `linear`?" in out
    assert out.endswith("2 files checked: 1 error\n")
    assert err == ""


def test_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(ROOT / "specs" / "recipes" / "cifar.ktg")]) == 1
    assert "a file without one is a recipe, which another takes over with `use`" in (
        capsys.readouterr().out
    )


def test_json(typo: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", typo, "--output-format", "json"]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {
            "code": "E201",
            "severity": "error",
            "message": "there is no gate called `lineer`",
            "path": typo,
            "line": 1,
            "column": 62,
            "end_line": 1,
            "end_column": 68,
            "help": "did you mean `linear`?",
        }
    ]


def test_json_of_a_sound_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", DML3, "--output-format", "json"]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_concise(typo: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", typo, "--output-format", "concise"]) == 1
    out = capsys.readouterr().out
    assert out == f"{typo}:1:62: error[E201] there is no gate called `lineer`\n"


def test_a_warning_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w.ktg").write_text(DROPPED)
    assert cli.main(["check", "w.ktg"]) == 0
    assert "warning[W101]" in capsys.readouterr().out


def test_colour_only_when_asked_for_or_on_a_terminal(
    typo: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.main(["check", typo])
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    cli.main(["check", typo])
    assert "\x1b[" in capsys.readouterr().out


def test_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ktgdsl", "check", "-"],
        input=TYPO,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "-:1:62" in done.stdout


def test_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "nowhere.ktg"]) == 1
    assert "error[E001]: there is no file `nowhere.ktg`" in capsys.readouterr().out
