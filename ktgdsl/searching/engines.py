"""The engines of a search by name: workers on this machine, or on a Ray cluster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

import torch

from ktgdsl.errors import RunError
from ktgdsl.extras import missing
from ktgdsl.searching.workers.threads import cores, threads_per_worker
from ktgdsl.searching.workers.worker_handle import Engine
from ktgdsl.searching.workers.worker_process import LocalEngine
from ktgdsl.training.device import choose_device

EngineName = Literal["local", "ray"]

_T = TypeVar("_T")


class SearchEngine(Engine, Protocol):
    """An engine with its defaults for workers: their devices, number and threads."""

    @property
    def environment_fields(self) -> Mapping[str, Any]:
        """The fields that it adds to `environment.json`."""

    def devices(self, name: str | None) -> list[str]:
        """The devices, assigned to workers in turn. Raises RunError (E504) if `name` is missing."""

    def workers(self, devices: Sequence[str]) -> int:
        """The default number of workers."""

    def threads(self, workers: int, devices: Sequence[str]) -> int:
        """The default number of threads per worker."""

    def notes(self, workers: int, devices: Sequence[str], threads: int) -> tuple[str, ...]:
        """Notes to the user about the workers' resources, one sentence each."""

    def on_device(self, device: str, function: Callable[[], _T]) -> _T:
        """Call `function`, which must not raise, on a machine that has that device."""


class ThisMachine(LocalEngine):
    """Workers are processes of this machine."""

    @property
    def environment_fields(self) -> Mapping[str, Any]:
        """None, as this is the default engine."""
        return {}

    def devices(self, name: str | None) -> list[str]:
        """The named device, else all GPUs, else the CPU."""
        if name is not None:
            return [str(choose_device(name))]
        return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]

    def workers(self, devices: Sequence[str]) -> int:
        """One for each GPU, or on a CPU one for two cores."""
        return max(1, cores() // 2) if devices == ["cpu"] else len(devices)

    def threads(self, workers: int, devices: Sequence[str]) -> int:
        """OMP_NUM_THREADS, else an equal share of the cores."""
        return threads_per_worker(workers)

    def notes(self, workers: int, devices: Sequence[str], threads: int) -> tuple[str, ...]:
        """None."""
        return ()

    def on_device(self, device: str, function: Callable[[], _T]) -> _T:
        """Call `function` in this process."""
        return function()


@contextmanager
def open_engine(name: EngineName, gpus_per_worker: float | None = None) -> Iterator[SearchEngine]:
    """Open the engine of that name for a `with` block.

    Args:
        name: "local" is this machine, "ray" the nodes of a Ray cluster.
        gpus_per_worker: with Ray, a fraction of one GPU, or a whole number; by default 1.

    Raises RunError (E504) where Ray is missing or does not answer, or `gpus_per_worker` is invalid.
    """
    if gpus_per_worker is not None:
        _check_gpus_per_worker(name, gpus_per_worker)
    if name == "local":
        yield ThisMachine()
        return
    try:
        from ktgdsl.searching.ray.engine import ray_engine
    except ImportError as error:
        raise missing("the engine ray", "ray", error) from None
    with ray_engine(gpus_per_worker) as engine:
        yield engine


def _check_gpus_per_worker(name: EngineName, gpus: float) -> None:
    if name == "local":
        message = "shares of GPUs are for workers of Ray, which knows what each node has"
        help = "add `--engine ray`; on one machine `--workers` share its GPUs in turn"
        raise RunError.single("E504", message, help=help)
    if not (0 < gpus <= 1 or (gpus > 1 and float(gpus).is_integer())):
        message = f"{gpus:g} GPUs cannot be given to a worker"
        help = "a share of one, such as 0.25, or a whole number; on CPUs: `--device cpu`"
        raise RunError.single("E504", message, help=help)
