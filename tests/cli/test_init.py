"""`ktgc init`: what is written, and that it compiles and trains."""

import json
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.cli.init import TEMPLATES


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_compiles_and_is_laid_out(template: str, tmp_path: Path) -> None:
    assert cli.main(["init", "mine", "--template", template]) == 0
    written = sorted(path.name for path in (tmp_path / "mine").iterdir())
    assert written == sorted(TEMPLATES[template])
    spec = f"mine/{TEMPLATES[template][0]}"
    assert cli.main(["check", "--pedantic", spec]) == 0
    assert cli.main(["fmt", "--check", spec]) == 0


def test_it_says_what_to_do_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init"]) == 0
    out = "wrote kd.ktg\nnext: ktgc plan kd.ktg\n      ktgc run kd.ktg\n"
    assert capsys.readouterr().out == out
    assert cli.main(["init", "my specs", "--template", "space"]) == 0
    assert "      ktgc search 'my specs/space.ktg'\n" in capsys.readouterr().out


def test_your_own_functions_train(tmp_path: Path) -> None:
    assert cli.main(["init", "--template", "own"]) == 0
    assert cli.main(["run", "own.ktg", "--out", "out", "--quiet", "--epochs", "4"]) == 0
    nodes = json.loads((tmp_path / "out" / "result.json").read_text())["nodes"]
    assert nodes["teacher"]["accuracy"]["mean"] > 60  # of three classes


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.py").write_text("mine")
    assert cli.main(["init", "--template", "own"]) == 1
    assert "error[E001]: `own.py` exists, and `init` overwrites nothing" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]
    assert (tmp_path / "own.py").read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["init", "file/deeper"]) == 1
    assert "error[E001]: `file/deeper` cannot be written" in capsys.readouterr().err
