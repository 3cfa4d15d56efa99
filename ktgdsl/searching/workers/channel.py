"""The connection of a worker to the coordinator, a pipe between two processes."""

import os
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

from ktgdsl.searching.workers.protocol import FromWorker


class Channel(Protocol):
    """The connection of a worker to the coordinator."""

    def send(self, message: FromWorker) -> None:
        """Send a message."""

    def receive(self) -> Any:
        """Wait for a message."""


class Pipe:
    """The worker's end of the pipe to the coordinator.

    A thread reads all the time, so that the worker ends at once when the coordinator dies,
    whatever it is doing.
    """

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                self._inbox.put(self._connection.recv())
        except (EOFError, OSError):
            os._exit(1)

    def send(self, message: FromWorker) -> None:
        """Send a message; ends the process when the coordinator is gone."""
        try:
            self._connection.send(message)
        except OSError:
            os._exit(1)

    def receive(self) -> Any:
        """Wait for a message."""
        return self._inbox.get()
