"""Worker processes on this machine: starts them, exchanges messages by pipes, and ends them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import connection
from typing import Any

from ktgdsl.searching.protocol import FromWorker, Setup, ToWorker
from ktgdsl.searching.worker_handle import Ending, WorkerHandle
from ktgdsl.training.run_files import reporting_write_errors

# A plain command instead of `multiprocessing.Process`, which would run the caller's main
# module again in the worker, and has every script guard against that.
PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from ktgdsl.searching.worker import main
main(int(sys.argv[1]))
"""


class WorkerProcess(WorkerHandle):
    """A worker that is a process of this machine."""

    def __init__(self, number: int, setup: Setup) -> None:
        super().__init__(number, setup)
        self.pipe, theirs = connection.Pipe()
        with reporting_write_errors(self.log):
            log = self.log.open("ab")
        with theirs, log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(theirs.fileno()), json.dumps(sys.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Threads that spin while they wait would take the cores of other workers.
                env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONFAULTHANDLER": "1"},
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C goes to the coordinator alone
            )
        self.send(setup)

    @property
    def inbox(self) -> Any:
        """Our end of the pipe."""
        return self.pipe

    def send(self, message: ToWorker) -> None:
        """Send a message. A dead worker is noticed when it is read from."""
        with suppress(OSError):
            self.pipe.send(message)
        self.heard = time.monotonic()

    def read(self) -> Iterator[FromWorker]:
        """The messages that have arrived. Afterwards `gone` says whether the process has ended."""
        # Polled first: all that a process sent before its death is in the pipe then.
        ended = self.process.poll() is not None
        try:
            while self.pipe.poll():
                message: FromWorker = self.pipe.recv()
                self.heard = time.monotonic()
                yield message
        except (EOFError, OSError):
            ended = True
        self.gone = ended

    def terminate(self) -> None:
        """Ask it to end."""
        self.process.terminate()

    def end(self, patience: float = 0.0) -> Ending:
        """Wait for the process to end, kill it after `patience` seconds."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.pipe.close()
        printed = f"its output is in {self.log}" if self.has_printed else "it said nothing"
        return Ending(f"{_cause(code)}; {printed}", was_killed=code < 0)


class LocalEngine:
    """Workers that are processes of this machine."""

    def start(self, number: int, setup: Setup) -> WorkerHandle:
        """Start a worker."""
        return WorkerProcess(number, setup)

    def wait(self, inboxes: Sequence[Any], timeout: float) -> None:
        """Wait until there is a message in one of the pipes."""
        connection.wait(inboxes, timeout)


def _cause(code: int) -> str:
    if code >= 0:
        return f"its worker ended with exit code {code}"
    why = " (is there enough memory?)" if code == -signal.SIGKILL else ""
    return f"its worker was killed by {signal.Signals(-code).name}{why}"
