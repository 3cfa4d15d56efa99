"""Worker processes on this machine: start, messages through pipes, and end."""

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

from ktgdsl.searching.workers.protocol import FromWorker, Setup, ToWorker
from ktgdsl.searching.workers.worker_handle import Ending, WorkerHandle
from ktgdsl.training.run_files import reporting_write_errors

# A plain command instead of `multiprocessing.Process`, which would import the caller's main
# module again in the worker, so that every script would need `if __name__ == "__main__"`.
PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from ktgdsl.searching.workers.worker import main
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
                # Threads that wait by spinning would take cores from other workers.
                env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONFAULTHANDLER": "1"},
                pass_fds=[theirs.fileno()],
                process_group=0,  # so that Ctrl-C signals only the coordinator
            )
        self.send(setup)

    @property
    def inbox(self) -> Any:
        """This process's end of the pipe."""
        return self.pipe

    def send(self, message: ToWorker) -> None:
        """Send a message. If the worker is dead, `read` finds out."""
        with suppress(OSError):
            self.pipe.send(message)
        self.heard = time.monotonic()

    def read(self) -> Iterator[FromWorker]:
        """The messages that have arrived; afterwards `gone` is up to date."""
        # Poll the process first: if it has ended, the pipe has all of its messages by now.
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
        """Ask the process to end, without waiting for it."""
        self.process.terminate()

    def end(self, patience: float = 0.0) -> Ending:
        """Wait up to `patience` seconds for the process to end, then kill it."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.pipe.close()
        printed = f"its output is in {self.log}" if self.has_printed else "it said nothing"
        return Ending(f"{_cause(code)}; {printed}", was_killed=code < 0)


class LocalEngine:
    """Starts workers as processes of this machine."""

    def start(self, number: int, setup: Setup) -> WorkerHandle:
        """Start a worker."""
        return WorkerProcess(number, setup)

    def wait(self, inboxes: Sequence[Any], timeout: float) -> None:
        """Wait up to `timeout` seconds for a message in one of the pipes."""
        connection.wait(inboxes, timeout)


def _cause(code: int) -> str:
    if code >= 0:
        return f"its worker ended with exit code {code}"
    why = " (is there enough memory?)" if code == -signal.SIGKILL else ""
    return f"its worker was killed by {signal.Signals(-code).name}{why}"
