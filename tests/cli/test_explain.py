"""`ktgc explain`: its streams and exit codes."""

import subprocess
import sys

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.cli.explain import SHIPPED
from ktgdsl.report.explain import explain, overview
from tests.paths import ROOT


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


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("kd", "`ktgc init --template kd` writes a spec of that name and specs/kd.ktg of the "
         "project is a spec; did you mean `kl(T=4)`?"),
        ("dml", "`ktgc init --template dml` writes a spec of that name; did you mean `kl`?"),
        ("own", "`ktgc init --template own` writes a spec of that name"),
        ("vanilla.ktg", "specs/vanilla.ktg of the project is a spec"),
    ],
)  # fmt: skip
def test_the_name_of_a_spec(name: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", name]) == 1
    message = f"ktgc: nothing is called `{name}` in the language, but {told}\n"
    assert capsys.readouterr() == ("", message)


def test_the_specs_of_the_project_are_known() -> None:
    assert sorted(SHIPPED) == sorted(path.stem for path in (ROOT / "specs").glob("*.ktg"))


def test_loads_neither_torch_nor_optuna_nor_rich() -> None:
    code = (
        "import sys; from ktgdsl.cli import main as cli; cli.main(['explain', 'cosine']); "
        "print([m for m in ('torch', 'optuna', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "[]"
