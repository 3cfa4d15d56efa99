"""The process group of `torchrun`: set-up, and synchronisation of networks between processes."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from ktgdsl.backend.process_group import all_equal, gathered, process_group, sum_in_place
from ktgdsl.errors import KtgError, RunError
from ktgdsl.plan.model import Plan
from ktgdsl.training.node_devices import node_devices

Result = TypeVar("Result")


@contextmanager
def initialized_group(device: torch.device) -> Iterator[torch.device]:
    """Join the processes of `torchrun` to a group in the block, and yield this one's device.

    On a GPU each process has its own, by its number on the machine. Where `torchrun` has not
    started us, or a group is there already, nothing happens.

    Raises RunError (E504) where the machine has fewer GPUs than processes.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1 or not dist.is_available() or dist.is_initialized():
        yield device
        return
    if device.type == "cuda":
        device = _own_gpu(device)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def torchrun_rank() -> int:
    """The rank of this process, also before it joins the group; 0 without `torchrun`."""
    alone = os.environ.get("WORLD_SIZE", "1") == "1"  # other programs set a rank, too
    return 0 if alone else int(os.environ.get("RANK", "0"))


def _own_gpu(device: torch.device) -> torch.device:
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if device.index is not None:
        message = f"{os.environ['WORLD_SIZE']} processes cannot all train on `{device}`"
        raise RunError.single("E504", message, help="leave out the number: each has its own GPU")
    if local >= there:
        message = f"there is no GPU for process {local + 1} on this machine, which has {there}"
        help = f"start at most {there} here: torchrun --nproc-per-node {there}"
        raise RunError.single("E504", message, help=help)
    return torch.device("cuda", local)


def require_equal_parts(plan: Plan, device: torch.device) -> None:
    """Raise RunError (E504) unless every batch can be split equally among the processes."""
    count = process_group().size
    if count == 1:
        return
    if node_devices(plan, device):
        help = "leave `device` out of the nodes: each process has all of them on its own device"
        raise RunError.single("E504", "several processes train nodes with a `device`", help=help)
    data = plan.data
    labeled = data.labeled_batch or 0
    batch = min(data.batch, data.samples_per_pass + labeled)
    rest = 0 if data.drop_last else data.samples_per_pass % (batch - labeled)
    last = rest + labeled if rest else 0
    for what, samples in (("a batch", batch), ("the last batch", last)):
        if samples % count:
            message = f"{what} of {samples} samples has no equal parts for {count} processes"
            help = f"let `batch` be a multiple of {count}"
            if what == "the last batch":
                help += ", and leave out `drop_last = false`"
            raise RunError.single("E504", message, help=help)


def require_same_process_count(plan: Plan, before: int) -> None:
    """Raise RunError (E502) unless a run is resumed with as many processes as `before`.

    With `sync_bn` the result does not depend on their number, so any number is accepted.
    """
    now = process_group().size
    if now != before and not plan.train.sync_bn:
        message = (
            f"the run was begun by {_processes(before)}, and {_processes(now)} would go on with "
            "it: batch norms have the statistics of each one's part of a batch"
        )
        start = "ktgc run" if before == 1 else f"torchrun --nproc-per-node {before} -m ktgdsl run"
        raise RunError.single("E502", message, help=f"go on with: {start} --resume ...")


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"


def computed_on_main(compute: Callable[[], Result]) -> Result:
    """Call `compute` in the process of rank 0 only; all processes return its result or raise."""
    group = process_group()
    if not group.is_distributed:
        return compute()
    outcome: list[Result | KtgError | None] = [None]
    if group.is_main:
        try:
            outcome = [compute()]
        except KtgError as error:
            outcome = [error]
    dist.broadcast_object_list(outcome)
    (result,) = outcome
    if isinstance(result, KtgError):
        raise result
    return result  # type: ignore[return-value]  # None where the first computes None


@torch.no_grad()
def broadcast_weights(network: nn.Module) -> None:
    """Broadcast the weights and buffers of a network from the process of rank 0."""
    for each in network.state_dict().values():
        dist.broadcast(each, 0)


def synchronize(modules: Iterable[nn.Module], epoch: int) -> None:
    """Average the buffers over the processes, and check that all have equal weights.

    Buffers such as batch-norm statistics differ, as each process sees its own part of a batch.

    Raises RunError (E504) where weights differ, as the processes would then train apart.
    """
    group = process_group()
    if not group.is_distributed:
        return
    modules = list(modules)
    if buffers := _float_buffers(modules):
        sum_in_place(buffers, 1 / group.size)
    if not all_equal(each for module in modules for each in module.parameters()):
        message = f"the {group.size} processes have different weights after epoch {epoch}"
        help = "machines and versions of torch have to be the same; see `--deterministic`"
        raise RunError.single("E504", message, help=help)


@torch.no_grad()
def process_buffers(modules: Iterable[nn.Module]) -> torch.Tensor | None:
    """The buffers of all processes, before they are averaged, for a checkpoint inside an epoch.

    One row per process, (processes, values) in float64; None without a group.
    """
    buffers = _float_buffers(modules)
    if not process_group().is_distributed or not buffers:
        return None
    return gathered(torch.cat([each.reshape(1, -1).double() for each in buffers], dim=1))


@torch.no_grad()
def load_process_buffers(modules: Iterable[nn.Module], rows: torch.Tensor | None) -> None:
    """Load this process's row of `process_buffers`.

    Does nothing on a resume with another number of processes, which requires `sync_bn`: then the
    buffers are equal in all processes and were loaded with the modules.
    """
    group = process_group()
    if rows is None or len(rows) != group.size:
        return
    buffers = _float_buffers(modules)
    parts = torch.split(rows[group.rank], [each.numel() for each in buffers])
    for each, part in zip(buffers, parts, strict=True):
        each.copy_(part.view(each.shape))


def _float_buffers(modules: Iterable[nn.Module]) -> list[torch.Tensor]:
    """The buffers that are averaged over the processes after each epoch."""
    return [b for each in modules for b in each.buffers() if b.is_floating_point()]
