"""A Ray cluster: connecting to it, and the room for workers on its nodes."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import ray
from ray.exceptions import RayError

from ktgdsl.errors import RunError

PENDING = 300.0
"""Seconds in which a cluster may get a node that can hold a worker: some start theirs on demand."""

ANSWER = 10.0
"""Seconds that a cluster has to answer."""

Share = Mapping[str, float]
"""What a worker takes of a node: how many of `CPU` and `GPU`."""


@contextmanager
def connected() -> Iterator[None]:
    """Be connected to the cluster of RAY_ADDRESS, else to one that runs here, else to an own one.

    Raises RunError (E504) where it does not answer.
    """
    if ray.is_initialized():  # by the caller, who may go on with it
        yield
        return
    _connect()
    try:
        yield
    finally:
        ray.shutdown()


def _connect() -> None:
    address = os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # of an own one: nothing is sent
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    on_term = signal.getsignal(signal.SIGTERM)
    try:
        if address is not None and (place := re.fullmatch(r"([^/]+):(\d+)", address)):
            # Ray itself would try for more than a minute, and print.
            socket.create_connection((place[1], int(place[2])), timeout=ANSWER).close()
        ray.init(logging_level="error", log_to_driver=False, include_dashboard=False)
    except (RayError, OSError, RuntimeError, ValueError) as error:
        where = f"at RAY_ADDRESS={address}" if address else "on this machine"
        reason = str(error).strip().partition("\n")[0]
        raise RunError.single(
            "E504",
            f"there is no Ray {where} to search on: {reason}",
            help="start one by `ray start --head`, or unset RAY_ADDRESS for one of this machine",
        ) from error
    with suppress(ValueError):  # this is not the main thread
        signal.signal(signal.SIGTERM, on_term)  # which Ray has replaced
    # Pages of a dying node's log, which no setting keeps from stdout: `Lost` tells what counts.
    ray._private.worker._worker_logs_enabled = False


def nodes() -> list[Mapping[str, float]]:
    """What each living node has in all."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def slots(nodes: Sequence[Mapping[str, float]], share: Share) -> int:
    """How many workers there is room for."""
    tiny = 1e-6  # ten shares of 0.1 are one
    return sum(
        min(int((node.get(name, 0.0) + tiny) // wanted) for name, wanted in share.items())
        for node in nodes
    )


def free_slots(share: Share) -> int:
    """How many workers there is room for now, at most: as if all were free on one node."""
    return slots([ray.available_resources()], share)


def options(share: Share) -> dict[str, float]:
    """A share, as options of an actor or a task."""
    return {"num_cpus": share["CPU"], "num_gpus": share.get("GPU", 0.0)}


def text(share: Share) -> str:
    """A share in words."""
    return " and ".join(f"{each:g} {name}{'s' * (each > 1)}" for name, each in share.items())


def no_room(share: Share) -> str:
    """That no node is large enough for a worker."""
    return f"no node of the Ray cluster has {text(share)}, which each worker takes"


class Patience:
    """How long no worker has had a place, where no node could give it one."""

    def __init__(self) -> None:
        self._placed = time.monotonic()

    def note_placed(self) -> None:
        """Note that a worker has its place now."""
        self._placed = time.monotonic()

    def require_room(self, share: Share) -> None:
        """Raise RunError (E504) where it is over."""
        if time.monotonic() - self._placed > PENDING and not slots(nodes(), share):
            help = "add such a node, or ask for less: OMP_NUM_THREADS, --gpus-per-worker"
            raise RunError.single("E504", no_room(share), help=help)
