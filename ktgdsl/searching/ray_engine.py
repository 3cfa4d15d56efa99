"""Workers that are Ray actors, each on a node of a cluster with enough free CPUs and GPUs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import ray

from ktgdsl.errors import RunError
from ktgdsl.searching.protocol import Setup
from ktgdsl.searching.ray_agent import Agent
from ktgdsl.searching.ray_cluster import (
    PENDING,
    Patience,
    Share,
    connected,
    free_slots,
    no_room,
    nodes,
    options,
    slots,
    text,
)
from ktgdsl.searching.ray_worker import RayWorker
from ktgdsl.searching.threads import threads_setting
from ktgdsl.searching.worker_handle import WorkerHandle

_T = TypeVar("_T")


@contextmanager
def ray_engine(gpus: float | None) -> Iterator["RayEngine"]:
    """An engine on the cluster that there is (`ray_cluster.connected`).

    Args:
        gpus: of each worker where workers have any; by default 1.

    Raises RunError (E504) where the cluster does not answer.
    """
    with connected():
        yield RayEngine(gpus)


class RayEngine:
    """Starts each worker as an actor, which Ray finds a place for."""

    def __init__(self, gpus: float | None = None) -> None:
        self._gpus = gpus
        self._agent = ray.remote(max_restarts=0, concurrency_groups={"read": 1})(Agent)
        self._patience = Patience()

    @property
    def noted(self) -> Mapping[str, Any]:
        """What `environment.json` says of it."""
        return {"engine": "ray"} | ({} if self._gpus is None else {"gpus_per_worker": self._gpus})

    def devices(self, name: str | None) -> list[str]:
        """The device of all workers: `cuda` is the one that Ray gives an actor.

        Raises RunError (E504) for a GPU by number, and for a CPU with GPUs.
        """
        if name is None:
            name = "cuda" if self._gpus or any(each.get("GPU") for each in nodes()) else "cpu"
        elif name not in ("cpu", "cuda") or (name == "cpu" and self._gpus):
            message = f"Ray gives each worker its GPUs, so there is no device `{name}` to choose"
            help = "write `cuda` or leave it out; `cpu` is for workers without GPUs"
            raise RunError.single("E504", message, help=help)
        return [name]

    def workers(self, devices: Sequence[str]) -> int:
        """How many workers the cluster has room for: by its GPUs, else one for two CPUs."""
        if devices == ["cpu"]:
            return max(1, int(sum(each.get("CPU", 0.0) for each in nodes())) // 2)
        return max(1, slots(nodes(), self._share(devices[0], 1)))

    def threads(self, workers: int, devices: Sequence[str]) -> int:
        """The threads of each worker, and CPUs: OMP_NUM_THREADS, else its share of the cluster."""
        if (setting := threads_setting()) is not None:
            return setting
        most = int(max((each.get("CPU", 0.0) for each in nodes()), default=1.0))
        shares = {threads: self._share(devices[0], threads) for threads in range(most, 1, -1)}
        return next((n for n, share in shares.items() if slots(nodes(), share) >= workers), 1)

    def notes(self, workers: int, devices: Sequence[str], threads: int) -> tuple[str, ...]:
        """What to say where the cluster has no room for all workers now."""
        share = self._share(devices[0], threads)
        if not slots(nodes(), share):
            return (f"{no_room(share)}; the search waits {PENDING:.0f} s for one",)
        if (free := free_slots(share)) >= workers:
            return ()
        return (
            f"the Ray cluster has room for {free} of {workers} workers now, which take "
            f"{text(share)} each; the others begin when there is more",
        )

    def on_device(self, device: str, function: Callable[[], _T]) -> _T:
        """What a function gives, which must not raise, where it has the device of a worker."""
        share = self._share(device, 1)
        result = ray.remote(function).options(**options(share)).remote()
        while not ray.wait([result], timeout=1.0)[0]:
            self._patience.require_room(share)
        answer: _T = ray.get(result)
        return answer

    def start(self, number: int, setup: Setup) -> WorkerHandle:
        """Start a worker, which may have to wait for its place."""
        share = self._share(setup.device, setup.threads)
        agent = self._agent.options(**options(share))
        return RayWorker(number, setup, agent.remote(), share, self._patience)

    def wait(self, inboxes: Sequence[Any], timeout: float) -> None:
        """Wait until one of the calls of actors has returned."""
        ray.wait([*inboxes], timeout=timeout)

    def _share(self, device: str, threads: int) -> Share:
        """What a worker takes of a node."""
        gpus = {} if device == "cpu" else {"GPU": self._gpus or 1.0}
        return {"CPU": float(threads), **gpus}
