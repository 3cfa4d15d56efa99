"""Folders on the command lines of `check` and `fmt`: the specs in them."""

from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.cli.spec_files import spec_files
from ktgdsl.errors import SpecError
from tests.cli.specs import TYPO, UGLY


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of specs, a recipe, and what is none of them; the working folder is above it."""
    specs = tmp_path / "specs"
    for name in ("deep", ".hidden", "run"):
        (specs / name).mkdir(parents=True)
        (specs / name / "b.ktg").write_text(UGLY)
    (specs / "run" / "plan.json").touch()
    (specs / "a.ktg").write_text(UGLY)
    (specs / "recipe.ktg").write_text("train {\n    epochs = 3\n}\n")
    (specs / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    return specs


@pytest.mark.usefixtures("folder")
def test_which_files_are_meant() -> None:
    inside = ["specs/a.ktg", "specs/recipe.ktg", "specs/deep/b.ktg"]
    assert spec_files(["specs"]) == spec_files(["./specs/"]) == dict.fromkeys(inside, True)
    assert [*spec_files(["."])] == inside
    assert spec_files(["-", "no.ktg", "specs/a.ktg", "specs"]) == {
        "-": False, "no.ktg": False, "specs/a.ktg": False, inside[1]: True, inside[2]: True,
    }  # fmt: skip


def test_a_folder_without_specs(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"there is no \.ktg file in ") as caught:
        spec_files([str(tmp_path)])
    assert caught.value.diagnostics[0].code == "E001"
    assert cli.main(["check", str(tmp_path)]) == 1


def test_check_takes_a_recipe_in_a_folder_for_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", "specs"]) == 0
    assert capsys.readouterr().out == "3 files checked: no errors\n"
    assert cli.main(["check", "specs/recipe.ktg"]) == 1
    (folder / "deep" / "typo.ktg").write_text(TYPO)
    capsys.readouterr()
    assert cli.main(["check", "specs"]) == 1
    assert "--> specs/deep/typo.ktg:1:" in capsys.readouterr().out


def test_fmt_lays_out_what_is_in_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fmt", "--check", "specs"]) == 1
    assert cli.main(["fmt", "specs"]) == 0
    out = capsys.readouterr().out
    assert "laid out specs/a.ktg\nlaid out specs/deep/b.ktg\n" in out
    assert (folder / "run" / "b.ktg").read_text() == UGLY
    assert cli.main(["fmt", "--check", "."]) == 0
