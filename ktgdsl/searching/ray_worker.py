"""A worker on some node of a Ray cluster, as its pool sees it."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError

from ktgdsl.errors import RunError
from ktgdsl.searching.carried_files import files_of_trial, write_files
from ktgdsl.searching.protocol import FromWorker, Noted, Raised, Setup, Task, ToWorker
from ktgdsl.searching.ray_agent import Batch, Begun, Surroundings
from ktgdsl.searching.ray_cluster import Patience, Share
from ktgdsl.searching.worker_handle import Ending, WorkerHandle


class RayWorker(WorkerHandle):
    """A worker process on some node of the cluster, reached through an actor there.

    One call of the actor is always under way, which returns what the worker has sent.
    """

    def __init__(
        self, number: int, setup: Setup, actor: Any, share: Share, patience: Patience
    ) -> None:
        super().__init__(number, setup)
        self._actor, self._share, self._patience = actor, share, patience
        self._node: str | None = None
        self._ending = Ending("its Ray actor was ended", was_killed=True)
        self._farewell: Any = None
        self._call = actor.begin.remote(number, setup, Surroundings.of_this_process())

    @property
    def inbox(self) -> Any:
        """The call that is under way."""
        return self._call

    def silent_for(self) -> float:
        """Seconds since its last message; none while it waits, for a place on a node as well."""
        return 0.0 if self._node is None else super().silent_for()

    def send(self, message: ToWorker) -> None:
        """Send a message, with a task what another node has left of its trial."""
        files = None
        if isinstance(message, Task):
            files = files_of_trial(self.setup.folder, message.trial)
        self._actor.send.remote(message, files)
        self.heard = time.monotonic()

    def read(self) -> Iterator[FromWorker]:
        """The messages that have arrived, once the files are written that came with them.

        Raises RunError where its node cannot train (E505), or no node has room for it (E504).
        """
        if self._node is None:
            self._patience.require_room(self._share)
        else:
            self._patience.note_placed()
        if not ray.wait([self._call], timeout=0)[0]:
            return
        self.heard = time.monotonic()
        try:
            answer: Begun | Batch = ray.get(self._call)
        except RayError as error:
            self.gone, self._ending = True, self._lost(error)
            return
        if isinstance(answer, Begun):
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
            self._farewell = self._actor.end.remote()

    def end(self, patience: float = 0.0) -> Ending:
        """Wait for the actor to have done so, and kill it."""
        if self._farewell is not None:
            ray.wait([self._farewell], timeout=patience)
        ray.kill(self._actor)
        return self._ending

    def _unpack(self, batch: Batch) -> Iterator[FromWorker]:
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

    def _lost(self, error: RayError) -> Ending:
        """What Ray says in many lines. Raises RunError (E505) where a node lacks this package."""
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
