"""`ktgc explain`: its streams and exit codes."""

import subprocess
import sys

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.report.explain import explain, overview


def test_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "correct"]) == 0
    assert capsys.readouterr() == (f"{explain('correct')}\n", "")


def test_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain"]) == 0
    assert capsys.readouterr() == (overview() + "\n", "")


def test_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "lineer"]) == 1
    told = "ktgc: nothing is called `lineer`; did you mean `linear`?\n"
    assert capsys.readouterr() == ("", told)


def test_nothing_like_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "xyzzy"]) == 1
    told = "ktgc: nothing is called `xyzzy`; `ktgc explain` lists what there is\n"
    assert capsys.readouterr() == ("", told)


def test_loads_neither_torch_nor_optuna_nor_rich() -> None:
    code = (
        "import sys; from ktgdsl.cli import main as cli; cli.main(['explain', 'cosine']); "
        "print([m for m in ('torch', 'optuna', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "[]"
