"""Processes that need not import torch: forked from a server that has it, one for all tests."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from subprocess import TimeoutExpired

_SERVER = get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["ktgdsl.cli.main", "ktgdsl.training.run", "ktgdsl.searching.search", "ktgdsl.searching.worker"]
)


class Forked:
    """A process that calls a function of a module, as a `subprocess.Popen` for tests.

    It has the folder and the environment of the caller. What it prints goes to a file, or nowhere.
    """

    def __init__(
        self, function: Callable[..., object], *arguments: object, output: Path | None = None
    ) -> None:
        entry = (function, arguments, dict(os.environ), Path.cwd(), output or Path(os.devnull))
        self._process = _SERVER.Process(target=_enter, args=entry)
        self._process.start()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """The exit code, None before the end, minus a signal that ended it."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; the exit code."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutExpired("forked", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def _enter(
    function: Callable[..., object],
    arguments: Sequence[object],
    environment: Mapping[str, str],
    folder: Path,
    output: Path,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with output.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.exit(function(*arguments))  # type: ignore[arg-type] # an exit code, or None
