"""Connects to a Ray cluster, and counts the workers that its nodes have resources for."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import ray

from ktgdsl.errors import RunError

NODE_TIMEOUT = 300.0
"""Seconds to wait for a node that is large enough: some clusters start nodes on demand."""

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for the address of a cluster to accept a connection."""

HEAD_TIMEOUT = 10.0
"""Seconds that the head of the cluster may be gone: Ray itself ends our process after 60."""

HEAD_INTERVAL = 1.0
"""Seconds between two looks whether it is there."""

HEAD_ANSWER = 1.0
"""Seconds that it has to answer."""

Resources = Mapping[str, float]
"""What a worker reserves on a node: numbers of `CPU` and `GPU`, perhaps fractions."""


@contextmanager
def connected() -> Iterator[None]:
    """Connect in the block to the cluster of RAY_ADDRESS, one that runs here, or else a new one.

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
            socket.create_connection((place[1], int(place[2])), timeout=CONNECT_TIMEOUT).close()
        ray.init(logging_level="error", log_to_driver=False, include_dashboard=False)
    except Exception as error:  # as Ray raises for nodes that do not start
        where = f"at RAY_ADDRESS={address}" if address else "on this machine"
        reason = str(error).strip().partition("\n")[0]
        raise RunError.single(
            "E504",
            f"there is no Ray {where} to search on: {reason}",
            help="start one by `ray start --head`; RAY_ADDRESS=local is one of this machine alone",
        ) from error
    with suppress(ValueError):  # this is not the main thread
        signal.signal(signal.SIGTERM, on_term)  # which Ray has replaced
    # Pages of a dying node's log, which no setting keeps from stdout: `Lost` tells what counts.
    ray._private.worker._worker_logs_enabled = False


def nodes() -> list[Mapping[str, float]]:
    """The total resources of each living node."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def slots(nodes: Sequence[Mapping[str, float]], resources: Resources) -> int:
    """How many workers fit on nodes with these resources."""
    tiny = 1e-6  # ten shares of 0.1 are one
    return sum(
        min(int((node.get(name, 0.0) + tiny) // wanted) for name, wanted in resources.items())
        for node in nodes
    )


def free_slots(resources: Resources) -> int:
    """An upper bound of the workers that fit now: as if all free resources were on one node."""
    return slots([ray.available_resources()], resources)


def options(resources: Resources) -> dict[str, float]:
    """Resources as options of an actor or a task."""
    return {"num_cpus": resources["CPU"], "num_gpus": resources.get("GPU", 0.0)}


def text(resources: Resources) -> str:
    """Resources in words."""
    return " and ".join(f"{each:g} {name}{'s' * (each > 1)}" for name, each in resources.items())


def no_node_for(resources: Resources) -> str:
    """The message that no node is large enough for a worker."""
    return f"no node of the Ray cluster has {text(resources)}, which each worker takes"


class NodeWait:
    """The time since a worker was last placed on a node, which may not exceed NODE_TIMEOUT."""

    def __init__(self) -> None:
        self._placed = time.monotonic()

    def note_placed(self) -> None:
        """Restart the time: a worker has been placed on a node."""
        self._placed = time.monotonic()

    def require_node(self, resources: Resources) -> None:
        """Raise RunError (E504) after the timeout if no node is large enough for a worker."""
        if time.monotonic() - self._placed > NODE_TIMEOUT and not slots(nodes(), resources):
            help = "add such a node, or ask for less: OMP_NUM_THREADS, --gpus-per-worker"
            raise RunError.single("E504", no_node_for(resources), help=help)


class HeadWatch:
    """Looks whether the head of the cluster, which Ray cannot do without, accepts connections."""

    def __init__(self, address: str) -> None:
        """Watch the head at `address`, host and port with a colon between."""
        host, _, port = address.rpartition(":")
        self._address = host.strip("[]"), int(port)
        self._answered = self._looked = time.monotonic()

    def require_head(self) -> None:
        """Raise RunError (E504), caused by a ConnectionError, where it is gone for too long."""
        if (now := time.monotonic()) - self._looked < HEAD_INTERVAL:
            return
        self._looked = now
        try:
            socket.create_connection(self._address, timeout=HEAD_ANSWER).close()
        except OSError as error:
            if now - self._answered > HEAD_TIMEOUT:
                where = f"at {self._address[0]}:{self._address[1]}"
                message = f"the head of the Ray cluster {where} is gone: {error.strerror or error}"
                help = "the nodes end without it; see its logs, in /tmp/ray/session_latest/logs"
                raise RunError.single("E504", message, help=help) from ConnectionError(str(error))
        else:
            self._answered = now
