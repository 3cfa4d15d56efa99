"""Data-parallel training of one graph by several processes, with torch.distributed.

Each process computes the networks on its own part of a batch. The inputs of losses and gates are
all-gathered, so that every process computes the losses of the whole batch exactly as a single
process would, including losses over pairs of samples and means over labeled or gated samples.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class ProcessGroup:
    """The number of processes that train together, and the rank of this one, from 0."""

    size: int = 1
    rank: int = 0

    @property
    def is_distributed(self) -> bool:
        """Whether there is more than one process."""
        return self.size > 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def part(self, whole: Tensor) -> Tensor:
        """This process's rows (B / size, ...) of a batch (B, ...)."""
        return whole.tensor_split(self.size)[self.rank]


SINGLE = ProcessGroup()


def process_group() -> ProcessGroup:
    """The size and rank of torch's default process group; SINGLE without one."""
    if not (dist.is_available() and dist.is_initialized()):
        return SINGLE
    return ProcessGroup(dist.get_world_size(), dist.get_rank())


def gathered(part: Tensor) -> Tensor:
    """All-gather the rows of all processes, (size * b, ...), from those (b, ...) of this one.

    Every process has to have b rows. The gradient is that of this process's rows only: the others
    compute the same loss and get the gradient of theirs.
    """
    whole: Tensor = _Gathered.apply(part)
    return whole


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        ctx.group = process_group()
        parts = [part.new_empty(part.shape) for _ in range(ctx.group.size)]
        dist.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        part: Tensor = ctx.group.part(gradient)
        return part


def summed(part: Tensor) -> Tensor:
    """The sum over the processes; its gradient is summed over the processes, too."""
    whole: Tensor = _Summed.apply(part)
    return whole


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        whole = part.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        whole = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(whole)
        return whole


@torch.no_grad()
def sum_in_place(tensors: Iterable[Tensor], factor: float = 1.0) -> None:
    """Replace tensors by `factor` times their sum over the processes: one all-reduce per dtype."""
    by_dtype: dict[torch.dtype, list[Tensor]] = {}
    for each in tensors:
        by_dtype.setdefault(each.dtype, []).append(each)
    for same in by_dtype.values():
        flat = torch.cat([each.reshape(-1) for each in same])
        dist.all_reduce(flat)
        if factor != 1:
            flat *= factor
        parts = torch.split(flat, [each.numel() for each in same])
        for each, part in zip(same, parts, strict=True):
            each.copy_(part.view(each.shape))


def all_equal(tensors: Iterable[Tensor]) -> bool:
    """Whether the sum of each tensor is equal in all processes; synchronizes with the device."""
    # NaN and infinite weights count as equal here; they are reported elsewhere (E503).
    sums = torch.stack([each.double().sum() for each in tensors]).nan_to_num()
    least, most = sums.clone(), sums.clone()
    dist.all_reduce(least, dist.ReduceOp.MIN)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return torch.equal(least, most)
