"""A worker process: starting it, the pipe to it, and its end."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path

from ktgdsl.searching.protocol import FromWorker, Report, Setup, Task, ToWorker
from ktgdsl.training.run_files import reporting_write_errors

# A plain command instead of `multiprocessing.Process`, which would run the caller's main
# module again in the worker, and has every script guard against that.
PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from ktgdsl.searching.worker import main
main(int(sys.argv[1]))
"""


@dataclass
class RunningTrial:
    """A trial under way: its report that waits for a decision, and why attempts were lost."""

    task: Task
    pending: Report | None = None
    lost: list[str] = field(default_factory=list)


class WorkerProcess:
    """A worker process and its state: starting, then idle, or training a trial.

    `reported` says whether it has reported an epoch of that trial. `heard` is when the last
    message came or went.
    """

    def __init__(self, number: int, setup: Setup) -> None:
        self.number = number
        self.setup = setup
        self.started = self.idle = self.reported = self.gone = False
        self.trial: RunningTrial | None = None
        self.heard = time.monotonic()
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
    def log(self) -> Path:
        """The file with its output."""
        return self.setup.folder / f"worker-{self.number}.log"

    @property
    def has_printed(self) -> bool:
        """Whether there is any output of it, or of one before it with its number."""
        return self.log.exists() and self.log.stat().st_size > 0

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

    def silent_for(self) -> float:
        """Seconds since its last message; none while it waits for a task or a decision."""
        waiting = self.idle or (self.trial is not None and self.trial.pending is not None)
        return 0.0 if waiting else time.monotonic() - self.heard

    def end(self, patience: float = 0.0) -> int:
        """Wait for the process to end, kill it after `patience` seconds; its exit code."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.pipe.close()
        return code
