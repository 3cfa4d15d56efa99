"""The dashboard of a search: it reads the journal, while it is written, too, and writes nothing."""

import json
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any
from urllib.error import HTTPError

import optuna
import pytest
from optuna.storages import JournalStorage

from ktgdsl.cli import main as cli
from ktgdsl.errors import RunError
from ktgdsl.searching.dashboard import HOST, ReadJournal, dashboard_server
from ktgdsl.searching.folder import SearchFolder
from tests.forked import Forked
from tests.searching.study.test_study import SPACE, journal
from tests.specs import sound


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    """The folder of a search with two trials."""
    journal(tmp_path / "study.journal")
    (tmp_path / "plan.json").write_text(sound(SPACE).to_json())
    (tmp_path / "space.ktg").touch()
    (tmp_path / "environment.json").write_text("{}")
    return SearchFolder(tmp_path)


@pytest.fixture
def listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of the package, one that lists the trials of a storage."""

    def wsgi(storage: Any) -> Callable[..., list[bytes]]:
        def answer(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            trials = optuna.load_study(study_name="g", storage=storage).trials
            return [json.dumps([trial.state.name for trial in trials]).encode()]

        return answer

    module = ModuleType("optuna_dashboard")
    module.wsgi = wsgi  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "optuna_dashboard", module)


@contextmanager
def served(folder: SearchFolder) -> Iterator[str]:
    """The address of a dashboard."""
    with dashboard_server(folder, 0) as server:
        assert server.server_address[0] == HOST
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def got(url: str, method: str = "GET") -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
        return json.load(answer)


def state(folder: SearchFolder) -> dict[str, bytes]:
    """Every file of the folder."""
    return {path.name: path.read_bytes() for path in folder.path.iterdir()}


@pytest.mark.usefixtures("listing")
def test_it_follows_a_search_and_leaves_its_folder_alone(folder: SearchFolder) -> None:
    (folder.path / "study.journal.lock").touch()  # the search is writing
    before = state(folder)
    with served(folder) as address:
        assert got(address) == ["COMPLETE", "PRUNED"]
        for method in ("POST", "PUT", "DELETE"):
            with pytest.raises(HTTPError, match="403"):
                got(address, method)
        assert state(folder) == before
        study = journal(folder.journal, trials=0)
        study.ask(seed=1)
        assert got(address) == ["COMPLETE", "PRUNED", "RUNNING"]


def test_nothing_gets_into_the_journal(folder: SearchFolder) -> None:
    before = state(folder)
    storage = JournalStorage(ReadJournal(str(folder.journal)))
    study = optuna.load_study(study_name="g", storage=storage)
    with pytest.raises(PermissionError):
        study.set_user_attr("note", "mine")
    with pytest.raises(PermissionError):
        study.ask()
    assert state(folder) == before


@pytest.mark.usefixtures("listing")
def test_a_port_that_is_taken_is_an_error(folder: SearchFolder) -> None:
    with dashboard_server(folder, 0) as server:
        taken = server.server_port
        with pytest.raises(RunError, match=f"port {taken} of "):
            dashboard_server(folder, taken)
    with pytest.raises(RunError, match="port 70000 of "):
        dashboard_server(folder, 70000)


def test_where_the_package_is_missing_it_is_named(
    folder: SearchFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(RunError) as caught:
        dashboard_server(folder, 0)
    (wrong,) = caught.value.diagnostics
    assert wrong.code == "E504"
    assert wrong.help == "pip install optuna-dashboard, or ktgdsl with [dashboard]"


@pytest.mark.usefixtures("listing")
def test_before_the_first_trial_there_is_nothing_to_show(folder: SearchFolder) -> None:
    folder.journal.unlink()
    with pytest.raises(RunError, match="has no trial yet"):
        dashboard_server(folder, 0)
    assert not folder.journal.exists()


@pytest.mark.usefixtures("listing")
def test_a_damaged_journal_is_not_shown(folder: SearchFolder) -> None:
    """Optuna itself would: it does not know the digests."""
    whole = folder.journal.read_bytes()
    for value in (b"60.0", b"50.0", b'"seed":100'):
        assert value in whole
        other = value.replace(b"0", b"1", 1)
        folder.journal.write_bytes(whole.replace(value, other, 1))
        with pytest.raises(RunError, match="is damaged"):
            dashboard_server(folder, 0)


def test_the_verb_serves_the_package_s_pages_until_ctrl_c(folder: SearchFolder) -> None:
    pytest.importorskip("optuna_dashboard")
    before = state(folder)
    printed = folder.path.parent / "printed"
    verb = Forked(cli.main, ["dashboard", str(folder.path), "--port", "0"], output=printed)
    try:
        until = time.monotonic() + 60
        while not (printed.exists() and b"\n" in printed.read_bytes()):
            assert time.monotonic() < until
            time.sleep(0.02)
        address, *_ = printed.read_text().split()
        (study,) = got(f"{address}/api/studies")["study_summaries"]
        assert (study["study_name"], study["directions"]) == ("g", ["maximize"])
        detail = got(f"{address}/api/studies/{study['study_id']}")
        assert [trial["state"] for trial in detail["trials"]] == ["Complete", "Pruned"]
        with pytest.raises(HTTPError, match="403"):
            got(f"{address}/api/studies/{study['study_id']}", "DELETE")
        verb.send_signal(signal.SIGINT)
        assert verb.wait(30) == 0
    finally:
        verb.kill()
    assert state(folder) == before
    assert printed.read_text() == f"{address} shows {folder.path}; Ctrl-C ends it\n"
