"""Workers that are Ray actors, each on a node of a cluster with enough free CPUs and GPUs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import ray

from ktgdsl.errors import RunError
from ktgdsl.searching.ray.agent import Agent
from ktgdsl.searching.ray.cluster import (
    NODE_TIMEOUT,
    HeadWatch,
    NodeWait,
    Resources,
    connected,
    free_slots,
    no_node_for,
    nodes,
    options,
    slots,
    text,
)
from ktgdsl.searching.ray.worker import RayWorker
from ktgdsl.searching.workers.protocol import Setup
from ktgdsl.searching.workers.threads import threads_setting
from ktgdsl.searching.workers.worker_handle import WorkerHandle

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
        self._node_wait = NodeWait()
        self._head = HeadWatch(ray.get_runtime_context().gcs_address)

    @property
    def environment_fields(self) -> Mapping[str, Any]:
        """Its entries of `environment.json`."""
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
        """The default number of workers: by the GPUs of the cluster, else one for two CPUs."""
        if devices == ["cpu"]:
            return max(1, int(sum(each.get("CPU", 0.0) for each in nodes())) // 2)
        return max(1, slots(nodes(), self._resources(devices[0], 1)))

    def threads(self, workers: int, devices: Sequence[str]) -> int:
        """The threads of each worker, and CPUs: OMP_NUM_THREADS, else its share of the cluster."""
        if (setting := threads_setting()) is not None:
            return setting
        most = int(max((each.get("CPU", 0.0) for each in nodes()), default=1.0))
        by_threads = {
            threads: self._resources(devices[0], threads) for threads in range(most, 1, -1)
        }
        return next(
            (n for n, resources in by_threads.items() if slots(nodes(), resources) >= workers), 1
        )

    def notes(self, workers: int, devices: Sequence[str], threads: int) -> tuple[str, ...]:
        """A note where not all workers fit on the cluster now."""
        resources = self._resources(devices[0], threads)
        if not slots(nodes(), resources):
            return (f"{no_node_for(resources)}; the search waits {NODE_TIMEOUT:.0f} s for one",)
        if (free := free_slots(resources)) >= workers:
            return ()
        return (
            f"the Ray cluster has room for {free} of {workers} workers now, which take "
            f"{text(resources)} each; the others begin when there is more",
        )

    def on_device(self, device: str, function: Callable[[], _T]) -> _T:
        """The result of a function, which must not raise, on a node with the device of a worker."""
        resources = self._resources(device, 1)
        result = ray.remote(function).options(**options(resources)).remote()
        while not ray.wait([result], timeout=1.0)[0]:
            self._head.require_head()
            self._node_wait.require_node(resources)
        answer: _T = ray.get(result)
        return answer

    def start(self, number: int, setup: Setup) -> WorkerHandle:
        """Start a worker, which may have to wait for free resources."""
        resources = self._resources(setup.device, setup.threads)
        agent = self._agent.options(**options(resources))
        return RayWorker(number, setup, agent.remote(), resources, self._node_wait)

    def wait(self, inboxes: Sequence[Any], timeout: float) -> None:
        """Wait until one of the calls of actors has returned.

        Raises RunError (E504) where the cluster is lost.
        """
        ray.wait([*inboxes], timeout=timeout)
        self._head.require_head()

    def _resources(self, device: str, threads: int) -> Resources:
        """The resources of a worker."""
        gpus = {} if device == "cpu" else {"GPU": self._gpus or 1.0}
        return {"CPU": float(threads), **gpus}
