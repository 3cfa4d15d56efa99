"""Serves optuna-dashboard for the journal of a search, read-only."""

from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ktgdsl.errors import RunError
from ktgdsl.extras import missing
from ktgdsl.searching.folder import SearchFolder
from ktgdsl.searching.recorded_study import recorded_study

HOST = "127.0.0.1"
"""Only this machine reaches the server."""

Application = Callable[..., Iterable[bytes]]


class ReadJournal(JournalFileBackend):
    """A read-only journal: it takes no lock, as a search may be writing meanwhile."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Raise PermissionError."""
        raise PermissionError("the journal of a search is only read here")


def dashboard_server(folder: SearchFolder, port: int) -> WSGIServer:
    """A server of optuna-dashboard for the journal of a search, bound to `HOST`.

    Port 0 takes a free one: `server_port` has it. What comes into the journal later is shown, too.

    Raises RunError: E504 where the package is missing or the port cannot be had, E502 where there
    is no journal, or it is damaged.
    """
    folder.require_journal()
    if not folder.journal.is_file():
        message = f"the search in {folder.path} has no trial yet"
        raise RunError.single("E502", message, help="wait for the first", path=folder.path)
    try:
        from optuna_dashboard import wsgi
    except ImportError as error:
        raise missing("the dashboard", "dashboard", error) from None
    with recorded_study(folder, folder.run.plan()):  # Optuna itself would show a damaged one
        pass
    application = reading_only(wsgi(JournalStorage(ReadJournal(str(folder.journal)))))
    try:
        return make_server(HOST, port, application, _Server, _QuietHandler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"port {port} of {HOST} cannot be had: {reason}"
        raise RunError.single("E504", message, help="name another by `--port`") from error


def reading_only(application: Application) -> Application:
    """The application without requests that would write: those are answered with 403."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [b'{"reason": "ktgc dashboard only reads the journal of a search"}']

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at once; none of them keeps the process alive."""

    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    """Prints no line for each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
