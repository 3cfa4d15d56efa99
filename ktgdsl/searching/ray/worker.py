"""The pool's handle of a worker on a node of a Ray cluster."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError

from ktgdsl.errors import RunError
from ktgdsl.searching.ray.agent import OwnerEnvironment, StartReply, WorkerOutput
from ktgdsl.searching.ray.cluster import NodeWait, Resources
from ktgdsl.searching.ray.file_transfer import files_of_trial, write_files
from ktgdsl.searching.workers.protocol import FromWorker, Noted, Raised, Setup, Task, ToWorker
from ktgdsl.searching.workers.worker_handle import Ending, WorkerHandle

MIN_END_TIMEOUT = 1.0
"""Seconds that an actor has at least to remove the files of its worker."""


class RayWorker(WorkerHandle):
    """A worker process on a node of the cluster, reached through an actor there.

    One call of the actor is always pending; it returns the next output of the worker.
    """

    def __init__(
        self, number: int, setup: Setup, actor: Any, resources: Resources, node_wait: NodeWait
    ) -> None:
        super().__init__(number, setup)
        self._actor, self._resources, self._node_wait = actor, resources, node_wait
        self._node: str | None = None
        self._ending = Ending("its Ray actor was ended", was_killed=True)
        self._end_call: Any = None
        self._call = actor.start.remote(number, setup, OwnerEnvironment.of_this_process())

    @property
    def inbox(self) -> Any:
        """The pending call."""
        return self._call

    def silent_for(self) -> float:
        """Seconds since its last message; 0 while it waits, also to be placed on a node."""
        return 0.0 if self._node is None else super().silent_for()

    def send(self, message: ToWorker) -> None:
        """Send a message; with a task the checkpoint of its trial, if another node left one."""
        files = None
        if isinstance(message, Task):
            files = files_of_trial(self.setup.folder, message.trial)
        self._actor.send.remote(message, files)
        self.heard = time.monotonic()

    def read(self) -> Iterator[FromWorker]:
        """The messages that have arrived; files that came with them are written before.

        Raises RunError where its node cannot train (E505), or no node has room for it (E504).
        """
        if self._node is None:
            self._node_wait.require_node(self._resources)
        else:
            self._node_wait.note_placed()
        if not ray.wait([self._call], timeout=0)[0]:
            return
        self.heard = time.monotonic()
        try:
            answer: StartReply | WorkerOutput = ray.get(self._call)
        except RayError as error:
            self.gone, self._ending = True, self._ending_of(error)
            return
        if isinstance(answer, StartReply):
            if answer.problems:
                raise RunError(answer.problems)
            self._node = answer.node
        else:
            yield from self._unpack(answer)
        if not self.gone:
            self._call = self._actor.read.options(concurrency_group="read").remote()

    def terminate(self) -> None:
        """Ask it to end, and its actor to remove its files."""
        if self._node is not None and not self.gone:
            self._end_call = self._actor.end.remote()

    def end(self, patience: float = 0.0) -> Ending:
        """Wait `patience` seconds for the actor to end its process, and kill the actor."""
        if self._end_call is None:
            self.terminate()
        if self._end_call is not None:
            ray.wait([self._end_call], timeout=max(patience, MIN_END_TIMEOUT))
        ray.kill(self._actor)
        return self._ending

    def _unpack(self, batch: WorkerOutput) -> Iterator[FromWorker]:
        trial = self.trial.task.trial if self.trial is not None else None
        try:
            with self.log.open("ab") as log:
                log.write(batch.printed)
            write_files(self.setup.folder, batch.files)
        except OSError as error:  # it costs time where an attempt is lost, and networks
            if trial is not None:
                yield Noted(trial, f"the files of its worker cannot be kept: {error}")
        for message in batch.messages:
            if isinstance(message, Raised):
                yield replace(message, reason=f"{message.reason} (on node {self._node})")
            else:
                yield message
        if batch.ending is not None:
            self.gone = True
            cause = batch.ending.cause.partition(";")[0]
            printed = f"its output is in {self.log}" if self.has_printed else "it said nothing"
            self._ending = Ending(
                f"{cause}; {printed} (on node {self._node})", batch.ending.was_killed
            )

    def _ending_of(self, error: RayError) -> Ending:
        """The ending that an error of Ray means. Raises RunError (E505) if a node lacks ktgdsl."""
        text = str(error)
        on_node = f"on node {self._node}" if self._node else "before it began"
        if isinstance(error, RayActorError) and "ModuleNotFoundError" in text:
            missing = next(
                line for line in text.splitlines()[::-1] if "ModuleNotFoundError" in line
            )
            message = f"a node of the Ray cluster cannot start a worker: {missing.strip()}"
            help = "install ktgdsl on all nodes, in the Python that `ray start` runs in"
            raise RunError.single("E505", message, help=help)
        if isinstance(error, RayTaskError):
            return Ending(f"its Ray actor failed: {error.cause!r} ({on_node})", was_killed=False)
        if isinstance(error, ActorUnavailableError) or "node has died" in text:
            return Ending(f"the node of its worker was lost ({on_node})", was_killed=True)
        cause = "its Ray actor was killed (is there enough memory?)"
        return Ending(f"{cause} ({on_node})", was_killed=True)
