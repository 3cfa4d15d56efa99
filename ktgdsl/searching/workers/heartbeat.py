"""Heartbeats: messages by which a worker that is busy shows that it does not hang."""

import time
from collections.abc import Callable

from ktgdsl.plan.model import Plan
from ktgdsl.searching.workers.protocol import Busy, FromWorker, Noted, Pretrained
from ktgdsl.training.events import Event, PretrainAwaited, PretrainDone, PretrainStarted
from ktgdsl.vocabulary.networks import shorthand

LOADING, LOADING_BEAT = 600, 10
"""Seconds that loading data may take in all, and between two heartbeats of it."""

BEAT = 0.5
"""Seconds between two heartbeats."""


class Heartbeat:
    """A listener of a training that sends heartbeats, and reports of pre-trainings."""

    def __init__(self, send: Callable[[FromWorker], None], trial: int, plan: Plan) -> None:
        self._send = send
        self._trial = trial
        self._plan = plan
        self._doing = ""
        self._sent = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Send a heartbeat if one is due."""
        doing = self._doing
        match event:
            case PretrainStarted():
                doing = f"pre-training {event.node}"
                if event.reason:
                    note = f"{event.node} is trained on the labels again: {event.reason}"
                    self._send(Noted(self._trial, note))
            case PretrainAwaited():
                doing = f"waiting for the pre-training of {event.node}"
            case PretrainDone():
                doing = ""
                network = shorthand(self._plan.graph.node(event.node).network)
                self._send(Pretrained(self._trial, network, event))
        now = time.monotonic()
        if doing != self._doing or now - self._sent >= BEAT:
            self._doing, self._sent = doing, now
            self._send(Busy(self._trial, doing))
