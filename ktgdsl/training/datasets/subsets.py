"""Random subsets of the training samples, stratified and seeded: held out, or labeled."""

import torch
from torch import Tensor

from ktgdsl.plan.model import DataPlan


def stratified(label: Tensor, count: int, seed: int) -> Tensor:
    """A mask (N,) of `count` samples, each class with its share of them to within one.

    Largest remainders: a class gets its share rounded down, and what is left goes to the
    classes with the greatest fractions, the first of equals first.
    """
    members = [(label == value).nonzero().flatten() for value in sorted(set(label.tolist()))]
    shares = [divmod(count * len(each), len(label)) for each in members]
    left = count - sum(whole for whole, _ in shares)
    rounded_up = sorted(range(len(shares)), key=lambda i: shares[i][1], reverse=True)[:left]
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(len(label), dtype=torch.bool)
    for i, each in enumerate(members):
        order = torch.randperm(len(each), generator=generator)
        mask[each[order[: shares[i][0] + (i in rounded_up)]]] = True
    return mask


def keep_labels(label: Tensor, count: int, seed: int) -> Tensor:
    """The labels (N,) with all but `count` of them -1; all as they are if there are no more.

    Each class keeps its share to within one, and the labels that a smaller count keeps are
    among those that a greater one does: in each class of m samples, in random order, sample j
    (from 0) has the rank (j + 1/2) / m, and the `count` lowest ranks of all keep their label.
    """
    generator = torch.Generator().manual_seed(seed)
    rank = torch.full(label.shape, torch.inf, dtype=torch.float64)
    for value in sorted(set(label[label >= 0].tolist())):
        members = (label == value).nonzero().flatten()
        order = torch.randperm(len(members), generator=generator)
        rank[members[order]] = (torch.arange(len(members)).double() + 0.5) / len(members)
    kept = rank.argsort(stable=True)[:count]
    return torch.full_like(label, -1).index_copy(0, kept, label[kept])


def used(label: Tensor, data: DataPlan, seed: int) -> Tensor:
    """A mask (N,) of the training samples that the plan uses, of those without a label as well."""
    labeled = label >= 0
    mask = torch.zeros_like(labeled)
    for part, count in (
        (labeled, data.labeled_train_samples),
        (~labeled, data.train_samples - data.labeled_train_samples),
    ):
        if bool(part.any()):
            mask[part] = stratified(label[part], count, seed)
    return mask
