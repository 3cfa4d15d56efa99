"""A worker process, as its owner sees it: started, talked to, listened to, ended."""

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

from ktgdsl.searching.messages import FromWorker, Report, Setup, Task, ToWorker

# A plain command instead of `multiprocessing.Process`, which would run the caller's main
# module again in the worker, and has every script guard against that.
PROGRAM = """\
import json, sys
sys.path[:] = json.loads(sys.argv[2])
from ktgdsl.searching.worker import main
main(int(sys.argv[1]))
"""


@dataclass
class Trial:
    """A trial under way: `asked` is its report that waits for a decision."""

    task: Task
    asked: Report | None = None
    reasons: list[str] = field(default_factory=list)


class WorkerProcess:
    """A worker process and its state: starting, then idle, or at work on a trial.

    `reported` says whether an epoch of that trial has come from it.
    """

    def __init__(self, number: int, setup: Setup) -> None:
        self.number = number
        self.setup = setup
        self.started = self.idle = self.reported = self.gone = False
        self.trial: Trial | None = None
        self.heard = time.monotonic()
        self.pipe, theirs = connection.Pipe()
        with theirs, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(theirs.fileno()), json.dumps(sys.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Threads that spin while they wait would take the cores of other workers.
                env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "PYTHONFAULTHANDLER": "1"},
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is for the owner
            )
        self.send(setup)

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.setup.folder / f"worker-{self.number}.log"

    def send(self, message: ToWorker) -> None:
        """Tells it; that it is dead shows when it is listened to."""
        with suppress(OSError):
            self.pipe.send(message)
        self.heard = time.monotonic()

    def read(self) -> Iterator[FromWorker]:
        """All that it has said by now. Then `gone` says whether that was the end."""
        # Asked first: what a process has said before its death is all in the pipe.
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
        """Seconds without a word from one that owes us some; it may ponder while we do."""
        waiting = self.idle or (self.trial is not None and self.trial.asked is not None)
        return 0.0 if waiting else time.monotonic() - self.heard

    def end(self, patience: float = 0.0) -> int:
        """Its exit code; kills it when it has not ended by itself by then."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.pipe.close()
        return code
