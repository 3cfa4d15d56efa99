"""Pages of a run and a search, made once for the session."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from ktgdsl.cli import main as cli
from ktgdsl.training.result import RunResult
from tests.report.page.folders import HOSTILE, write_search, write_trained


@dataclass(frozen=True)
class Written:
    """A page about a run and a search, and what it is about."""

    html: str
    run: RunResult
    search: Path


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The page about a run in a folder of hostile name, and a search."""
    pytest.importorskip("jinja2")
    root = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KTGDSL_CACHE", str(root / "cache"))
        run = write_trained(root / HOSTILE.replace("/", "|"))
        write_search(root / "found")
        out = root / "report.html"
        assert cli.main(["report", str(run.folder), str(root / "found"), "-o", str(out)]) == 0
    return Written(out.read_text("utf-8"), run, root / "found")
