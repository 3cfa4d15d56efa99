"""Which training samples are held out, and which keep their label: stratified and seeded."""

import torch
from torch import Tensor


def stratified(label: Tensor, count: int, seed: int) -> Tensor:
    """A mask (N,) of `count` samples, each class with its share of them to within one.

    Largest remainders: a class gets its share rounded down, and what is left goes to the
    classes with the greatest fractions, the first of equals first.
    """
    members = [(label == value).nonzero().flatten() for value in sorted(set(label.tolist()))]
    shares = [divmod(count * len(each), len(label)) for each in members]
    left = count - sum(whole for whole, _ in shares)
    favoured = sorted(range(len(shares)), key=lambda i: shares[i][1], reverse=True)[:left]
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(label), dtype=torch.bool)
    for i, each in enumerate(members):
        order = torch.randperm(len(each), generator=generator)
        held[each[order[: shares[i][0] + (i in favoured)]]] = True
    return held


def keep_labels(label: Tensor, count: int, seed: int) -> Tensor:
    """The labels (N,) with all but `count` of them -1; all as they are if there are no more.

    Each class keeps its share to within one, and of two counts the smaller keeps a part of
    what the greater does: the sample in place j of a class of m, in random order, comes at
    (j + 1/2) / m, and the first `count` of all keep their label.
    """
    generator = torch.Generator().manual_seed(seed)
    place = torch.full(label.shape, torch.inf, dtype=torch.float64)
    for value in sorted(set(label[label >= 0].tolist())):
        members = (label == value).nonzero().flatten()
        order = torch.randperm(len(members), generator=generator)
        place[members[order]] = (torch.arange(len(members)).double() + 0.5) / len(members)
    kept = place.argsort(stable=True)[:count]
    return torch.full_like(label, -1).index_copy(0, kept, label[kept])
