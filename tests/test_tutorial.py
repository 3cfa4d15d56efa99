"""The tutorial shows the specs that lie beside it, and what its commands print."""

from pathlib import Path

import pytest

from tests.pages import assert_shows, blocks, printed_by, transcripts
from tests.paths import ROOT

FOLDER = ROOT / "specs" / "tutorial"
PAGE = FOLDER / "README.md"
COMMANDS = list(transcripts(PAGE))
AT_ONCE = ("ktgc plan", "ktgc graph", "ktgc explain", "ktgc check")


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    monkeypatch.chdir(tmp_path)


def test_the_specs_are_shown_as_they_are() -> None:
    assert blocks(PAGE, "ktg") == [path.read_text("utf-8") for path in sorted(FOLDER.glob("*.ktg"))]


def test_each_spec_has_its_command() -> None:
    trained = [line.split()[2] for line, _ in COMMANDS if line.startswith(("ktgc run", "ktgc sea"))]
    specs = [f"specs/tutorial/{path.name}" for path in sorted(FOLDER.glob("*.ktg"))]
    assert [spec for spec in trained if spec.startswith("specs/")] == specs


@pytest.mark.parametrize("command", [line for line, _ in COMMANDS if line.startswith(AT_ONCE)])
def test_plans_and_pictures_are_as_shown(command: str) -> None:
    assert_shows(dict(COMMANDS)[command], printed_by(command), exact=True)


@pytest.mark.slow
def test_all_commands_in_their_order() -> None:
    for command, shown in COMMANDS:
        assert_shows(shown, printed_by(command))
