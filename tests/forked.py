"""Processes that need not import torch: forked from a server that has it, one for all tests."""

import faulthandler
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ktgdsl.searching.workers import worker_process as process

_SERVER = get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "ktgdsl.cli.main",
        "ktgdsl.training.run",
        "ktgdsl.searching.search",
        "ktgdsl.searching.workers.worker",
        "pytest",  # which the modules of tests import
        "torch._dynamo",  # which `torch.compiler.disable` does, for networks of the user's
    ]
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
            raise subprocess.TimeoutExpired("forked", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


@contextmanager
def forked_workers() -> Iterator[None]:
    """Have the workers of searches forked; those that run another program are as ever."""
    own = process.PROGRAM

    def start(command: Sequence[str], **options: Any) -> Any:
        if command[2] != own:
            return subprocess.Popen(command, **options)
        (descriptor,) = options["pass_fds"]
        with Connection(os.dup(descriptor)) as pipe:
            return Forked(_work, pipe, output=Path(options["stdout"].name))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            process, "subprocess", SimpleNamespace(**{**vars(subprocess), "Popen": start})
        )
        yield


def _work(pipe: "Connection[Any, Any]") -> None:
    """A worker of a search as `process.PROGRAM` has it."""
    from ktgdsl.searching.workers.worker import main

    os.setpgid(0, 0)
    faulthandler.enable()
    main(pipe.fileno())


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
