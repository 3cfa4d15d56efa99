"""`ktgc fmt`: what is written, and what only said."""

import subprocess
import sys
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from tests.cli.specs import UGLY

LAID_OUT = "# mine\ngraph g {\n    node a = resnet8\n    target a\n    edge label -> a\n}\n"


def test_lays_files_out_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ugly.ktg"
    path.write_text(UGLY)
    path.chmod(0o640)
    assert cli.main(["fmt", "ugly.ktg"]) == 0
    assert capsys.readouterr().out == "laid out ugly.ktg\n"
    assert path.read_text() == LAID_OUT
    assert path.stat().st_mode & 0o777 == 0o640
    assert cli.main(["fmt", "ugly.ktg", "--check"]) == 0
    assert cli.main(["fmt", "ugly.ktg"]) == 0
    assert capsys.readouterr().out == ""
    assert [p.name for p in tmp_path.iterdir()] == ["ugly.ktg"]


def test_check_and_diff_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ugly.ktg"
    path.write_text(UGLY)
    assert cli.main(["fmt", "--check", "ugly.ktg"]) == 1
    assert capsys.readouterr().out == "would lay out ugly.ktg\n"
    assert cli.main(["fmt", "--diff", "ugly.ktg"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("--- ugly.ktg\n+++ ugly.ktg (formatted)\n")
    assert "+    edge label -> a\n" in out
    assert path.read_text() == UGLY


def test_a_file_that_does_not_parse_is_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.ktg").write_text(UGLY + "}")
    (tmp_path / "ugly.ktg").write_text(UGLY)
    assert cli.main(["fmt", "broken.ktg", "ugly.ktg"]) == 1
    out, err = capsys.readouterr()
    assert out == "laid out ugly.ktg\n"
    assert "broken.ktg:3" in err
    assert (tmp_path / "broken.ktg").read_text() == UGLY + "}"


def test_standard_input_goes_to_standard_output() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ktgdsl", "fmt", "-"],
        input=UGLY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, LAID_OUT, "")


def test_a_disk_that_is_full_leaves_the_file_as_it_was(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "ugly.ktg"
    path.write_text(UGLY)
    monkeypatch.setattr(Path, "replace", full)
    assert cli.main(["fmt", "ugly.ktg"]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert path.read_text() == UGLY
    assert [p.name for p in tmp_path.iterdir()] == ["ugly.ktg"]
