"""The order of the samples in an epoch: shuffled, or labeled and unlabeled ones in each batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ktgdsl.backend.process_group import ProcessGroup
from ktgdsl.backend.seeds import derive


@dataclass(frozen=True)
class Order:
    """The samples of an epoch in the order of its batches.

    Attributes:
        sample: (n,) int64, positions in a split, on the CPU.
        batch: samples of a batch; the last batch may be smaller.
        repeat: (n,) int64, how often each came before in the epoch; None where all come once.
    """

    sample: Tensor
    batch: int
    repeat: Tensor | None = None

    def after(self, batches: int) -> "Order":
        """The order without its first `batches`."""
        start = batches * self.batch
        repeat = None if self.repeat is None else self.repeat[start:]
        return Order(self.sample[start:], self.batch, repeat)


def shuffled(samples: int, batch: int, seed: int, epoch: int, *, drop_last: bool) -> Order:
    """So many samples, each once; without those that do not fill a batch if these are dropped.

    A split that is smaller than a batch is one batch.
    """
    batch = min(batch, samples)
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    sample = torch.randperm(samples, generator=generator)
    return Order(sample[: samples - samples % batch] if drop_last else sample, batch)


def mixed(
    label: Tensor, batch: int, labeled: int, seed: int, epoch: int, *, drop_last: bool
) -> Order:
    """Batches of `labeled` samples that have a label and `batch - labeled` that have none.

    The unlabeled ones come once in an epoch. Those with a label, after them in each batch, come as
    often as needed: shuffled anew whenever all were there. Source: `TwoStreamBatchSampler` of the
    code of Tarvainen and Valpola, Mean teachers are better role models, NeurIPS 2017.

    Args:
        label: (N,) int64 on the CPU, -1 where there is none; both kinds are there.
        batch: samples of a batch; one of all unlabeled samples if they are too few for a whole one.
        labeled: of these, those with a label.
        seed: of the training.
        epoch: counted from 1.
        drop_last: leave out the unlabeled samples that do not fill a batch.
    """
    without, with_label = (where.nonzero().flatten() for where in (label < 0, label >= 0))
    shuffled_once = shuffled(len(without), batch - labeled, seed, epoch, drop_last=drop_last)
    parts = torch.split(without[shuffled_once.sample], shuffled_once.batch)
    count, needed = len(with_label), labeled * len(parts)
    generator = torch.Generator().manual_seed(derive(seed, "labeled order", epoch))
    passes = [torch.randperm(count, generator=generator) for _ in range(-(-needed // count))]
    again = torch.split(with_label[torch.cat(passes)[:needed]], labeled)
    repeats = torch.split(torch.arange(needed) // count, labeled)
    return Order(
        torch.cat([each for pair in zip(parts, again, strict=True) for each in pair]),
        shuffled_once.batch + labeled,
        torch.cat(
            [
                each
                for part, repeat in zip(parts, repeats, strict=True)
                for each in (torch.zeros_like(part), repeat)
            ]
        ),
    )


def part_of(order: Order, group: ProcessGroup) -> tuple[Tensor, Order]:
    """The rows (n / count,) of an order that are a process's part of each batch; their order."""
    batches = torch.split(torch.arange(len(order.sample)), max(1, order.batch))
    rows = torch.cat([group.part(batch) for batch in batches])
    repeat = None if order.repeat is None else order.repeat[rows]
    return rows, Order(order.sample[rows], order.batch // group.size, repeat)
