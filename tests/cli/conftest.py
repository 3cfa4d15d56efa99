"""Every test of the command line runs in an empty folder, with a cache of its own."""

from pathlib import Path

import pytest

from tests.cli.specs import TYPO


@pytest.fixture
def typo(tmp_path: Path) -> str:
    path = tmp_path / "typo.ktg"
    path.write_text(TYPO)
    return str(path)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KTGDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
