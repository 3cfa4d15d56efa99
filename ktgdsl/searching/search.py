"""A search: a space in, the best graph out, and going on after a cut."""

import errno
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from ktgdsl.backend.supported import require_searchable
from ktgdsl.errors import RunError
from ktgdsl.plan.model import Plan
from ktgdsl.plan.require import require_plan
from ktgdsl.searching.cores import cores, threads_each
from ktgdsl.searching.course import Course, Found
from ktgdsl.searching.events import (
    Listener,
    ignore,
)
from ktgdsl.searching.folder import SearchFolder, find
from ktgdsl.training.datasets.read import complete
from ktgdsl.training.deterministic import deterministically
from ktgdsl.training.device import choose_device
from ktgdsl.training.environment import describe_environment, threads_of
from ktgdsl.training.run_folder import create_run_folder

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What writing fails with on a disk that takes no more."""


def search(
    plan: Plan,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    device: str | None = None,
    listener: Listener = ignore,
    deterministic: bool = False,
) -> Found:
    """Finds the best graph of a space and keeps everything in a folder.

    Args:
        plan: the space.
        out: the folder, new or empty; by default `runs/NAME`, or `runs/NAME-2` and so on.
        workers: how many trials are trained at a time; by default what the space says, else
            one for each GPU, or on a CPU one for two cores. Each computes with as many threads
            as OMP_NUM_THREADS says, else with its share of the cores.
        device: such as "cpu" or "cuda:1"; by default all GPUs that there are.
        listener: is told how it goes (`ktgdsl.searching.events`).
        deterministic: whether to compute by deterministic algorithms alone, as `run` does.

    Raises:
        RunError: when nothing is open (E506), something is not supported yet (E901), the
            folder cannot be used (E502), the device does not exist (E504), data are missing or
            damaged (E508), or no trial gave a value (E507). What was kept stays.
        SearchInterrupted: on Ctrl-C.
    """
    require_plan(plan, "search")
    require_searchable(plan)
    plan = complete(plan)
    devices = _devices(device)
    workers = workers or (plan.search and plan.search.workers) or _workers(devices)
    as_a_worker = threads_of({"threads": threads_each(workers)})
    with as_a_worker, deterministically(deterministic):
        environment = {
            **describe_environment(plan, torch.device(devices[0]), (plan.train.seed,)),
            "devices": devices,
            "workers": workers,
        }
    made = create_run_folder(plan, None if out is None else Path(out), None, environment)
    folder = SearchFolder(made.path)
    assert plan.space is not None
    with made.locked():
        folder.write_space(plan.space.text)
        with _going_on(folder):
            return Course(plan, folder, listener).to_the_end()


def resume(
    folder: str | Path,
    *,
    workers: int | None = None,
    device: str | None = None,
    listener: Listener = ignore,
) -> Found:
    """Goes on with a search that was cut off, to the same number of trials.

    Workers and devices are those of the search unless they are given; the threads of each
    worker, and whether all is deterministic, are in any case, as numbers depend on them. A
    finished search is left as it is and its result returned. Raises as `search` does.
    """
    here = find(Path(folder))
    with here.run.locked():
        plan = here.run.plan()
        require_searchable(plan)
        environment = here.run.environment()
        if device is not None:
            environment["devices"] = _devices(device)
        if workers is not None:
            environment["workers"] = workers
        here.run.write_environment(environment)
        with _going_on(here):
            return Course(plan, here, listener).to_the_end()


@contextmanager
def _going_on(folder: SearchFolder) -> Iterator[None]:
    """Lets an error about a disk that takes no more say how to go on once it does."""
    try:
        yield
    except RunError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in FULL:
            raise
        help = f"make room, then go on with: ktgc search --resume {shlex.quote(str(folder.path))}"
        raise RunError([replace(each, help=help) for each in error.diagnostics]) from error


def _devices(device: str | None) -> list[str]:
    if device is not None:
        return [str(choose_device(device))]
    return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu"]


def _workers(devices: list[str]) -> int:
    return max(1, cores() // 2) if devices == ["cpu"] else len(devices)
