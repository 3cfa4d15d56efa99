"""The engines of a search by name: workers on this machine, or on a Ray cluster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypeVar

import torch

from ktgdsl.errors import RunError
from ktgdsl.searching.process import LocalEngine
from ktgdsl.searching.threads import cores, threads_per_worker
from ktgdsl.searching.worker_handle import Engine
from ktgdsl.training.device import choose_device

EngineName = Literal["local", "ray"]

_T = TypeVar("_T")


class SearchEngine(Engine, Protocol):
    """An engine with its defaults for workers: their devices, number and threads."""

    @property
    def noted(self) -> Mapping[str, Any]:
        """Its entries of `environment.json`."""

    def devices(self, name: str | None) -> list[str]:
        """The devices that workers get in turn. Raises RunError (E504) where `name` is missing."""

    def workers(self, devices: Sequence[str]) -> int:
        """The default number of workers."""

    def threads(self, workers: int, devices: Sequence[str]) -> int:
        """The default number of threads of each worker."""

    def notes(self, workers: int, devices: Sequence[str], threads: int) -> tuple[str, ...]:
        """Notes to the user about the resources for workers, a sentence each."""

    def on_device(self, device: str, function: Callable[[], _T]) -> _T:
        """The result of a function, which must not raise, on a machine with a worker's device."""


class ThisMachine(LocalEngine):
    """Workers are processes of this machine."""

    @property
    def noted(self) -> Mapping[str, Any]:
        """Nothing: it is the default."""
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
        """OMP_NUM_THREADS, else a share of the cores."""
        return threads_per_worker(workers)

    def notes(self, workers: int, devices: Sequence[str], threads: int) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def on_device(self, device: str, function: Callable[[], _T]) -> _T:
        """The result of the function."""
        return function()


@contextmanager
def opened_engine(name: EngineName, gpus_per_worker: float | None = None) -> Iterator[SearchEngine]:
    """The engine of that name, while it is needed.

    Args:
        name: "local" is this machine, "ray" the nodes of a Ray cluster.
        gpus_per_worker: with Ray, a share of one GPU, or a whole number; by default 1.

    Raises RunError (E504) where Ray is missing or does not answer, or where there is no such share.
    """
    if gpus_per_worker is not None:
        _require_share(name, gpus_per_worker)
    if name == "local":
        yield ThisMachine()
        return
    try:
        from ktgdsl.searching.ray_engine import ray_engine
    except ImportError as error:
        message = f"the engine ray needs ray, which cannot be imported: {error}"
        raise RunError.single(
            "E504", message, help="pip install ray, or ktgdsl with [ray]"
        ) from None
    with ray_engine(gpus_per_worker) as engine:
        yield engine


def _require_share(name: EngineName, gpus: float) -> None:
    if name == "local":
        message = "shares of GPUs are for workers of Ray, which knows what each node has"
        help = "add `--engine ray`; on one machine `--workers` share its GPUs in turn"
        raise RunError.single("E504", message, help=help)
    if not (0 < gpus <= 1 or (gpus > 1 and float(gpus).is_integer())):
        message = f"{gpus:g} GPUs cannot be given to a worker"
        help = "a share of one, such as 0.25, or a whole number; on CPUs: `--device cpu`"
        raise RunError.single("E504", message, help=help)
