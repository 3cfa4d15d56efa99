"""`ktgc completion`: what a shell offers."""

import subprocess
import sys

import pytest

from ktgdsl.cli import main as cli

pytest.importorskip("shtab")

TRY = """
eval "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_shtab_ktgc
echo "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script() -> str:
    command = [sys.executable, "-m", "ktgdsl", "completion", "bash"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (["sea"], "search"),
        (["run", "--resu"], "--resume"),
        (["fmt", "--d"], "--diff"),
        (["build", "own.ktg", "--emit", "p"], "plan program"),
        (["init", "--template", ""], "kd dml space own"),
        (["run", "o"], "own.ktg"),
        (["run", "own.ktg", "--out", "o"], "own.ktg"),
        (["diff", "own.ktg", "o"], "own.ktg"),
    ],
)
def test_what_bash_offers(script: str, line: list[str], offered: str) -> None:
    cli.main(["init", "--template", "own"])
    command = ["bash", "-c", TRY, "bash", script, "ktgc", *line]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.replace("own.ktg own.py", "own.ktg") == f"{offered}\n"


@pytest.mark.parametrize("shell", ["zsh", "tcsh", "fish"])
def test_other_shells(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert "ktgc" in out
    assert "deterministic" in out


def test_without_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["completion", "bash"]) == 1
    err = capsys.readouterr().err
    assert "error[E504]: completion needs shtab, which is not installed" in err
    assert "help: pip install shtab, or ktgdsl with [completion]" in err
