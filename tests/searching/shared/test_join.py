"""`ktgc search --join` as users have it: command lines, real trainings, a password."""

import re
import shlex
from pathlib import Path

import pytest

import ktgdsl
from ktgdsl.cli import main as cli
from ktgdsl.searching.events import Event, TrialReported
from ktgdsl.searching.search_run import SearchInterrupted
from ktgdsl.searching.shared import joined_coordinator
from tests.faults.kills import rows
from tests.searching.shared.postgres import PASSWORD, Server

SPACE = """
graph {name} {{
    node a, b = python("tests.test_run_files:small")
    target a
    edge b -> a : kl via through | linear
}}
data digits {{ batch = 64  samples = 128 }}
train {{ epochs = 2 }}
search {{ trials = 2  pruner = none }}
"""


@pytest.mark.usefixtures("forked_workers")
def test_an_interrupted_process_joins_again_and_later_ones_fetch_the_result(
    postgres: Server,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The password is in no file and no message."""
    monkeypatch.setattr(joined_coordinator, "POLL_SECONDS", 0.2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["ktgc", "search", "--storage", postgres.careful, "--join"])
    Path("space.ktg").write_text(SPACE.format(name="again"))

    def interrupt(event: Event) -> None:
        if isinstance(event, TrialReported):
            raise KeyboardInterrupt

    with pytest.raises(SearchInterrupted, match="0 of 2 trials are over and kept in the database"):
        ktgdsl.join(ktgdsl.load("space.ktg"), postgres.careful, out="one", listener=interrupt)
    assert cli.main(["search", "--resume", "one"]) == 1
    refused = capfd.readouterr().err
    assert "the trials of the search in one are in the database postgresql://careful@" in refused
    (command,) = re.findall("ktgc (search one/space.ktg .* --join)", refused)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert cli.main([*shlex.split(command), "--out", "two"]) == 0
    later = ["search", "space.ktg", "--storage", postgres.careful, "--join", "--out", "three"]
    assert cli.main(later) == 0
    assert cli.main(["search", "--resume", "three"]) == 0
    monkeypatch.undo()
    assert len(rows(tmp_path / "two")) == 2
    assert rows(tmp_path / "three") == rows(tmp_path / "two")
    printed = "".join(capfd.readouterr())
    files = [each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()]
    assert len(files) > 30
    for each in (refused.encode(), printed.encode(), *files):
        assert PASSWORD.encode() not in each
