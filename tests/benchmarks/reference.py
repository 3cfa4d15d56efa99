"""The reference of the step benchmark: the training of Minami et al. as their code does it.

Written from the description of that code alone: every network by itself, softmax and then its
logarithm for every edge, one backward that keeps the graph and one optimiser for every node,
numbers read from the device in every step, batches from a DataLoader with workers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

v2: Any = import_module("torchvision.transforms.v2")  # it has no types

WORKERS = 2
TINY = 1e-10
"""What the authors' code adds to a probability before its logarithm."""


@dataclass(frozen=True)
class Transfer:
    """An edge between two nodes; `gate` is through, linear or correct."""

    source: str
    destination: str
    gate: str = "through"


class Reference:
    """Trains networks by one step a call. All but the `frozen` ones learn from the label too."""

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        transfers: Sequence[Transfer],
        *,
        steps: int,
        frozen: Sequence[str] = (),
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.networks = dict(networks)
        self.transfers = transfers
        self.steps = steps
        self.learning = [name for name in networks if name not in frozen]
        self.precision = precision
        self.taken = 0
        self.meters: dict[str, list[float]] = {name: [] for name in networks}
        self.optimizers = {
            name: torch.optim.SGD(
                networks[name].parameters(),
                lr=0.1,
                momentum=0.9,
                weight_decay=5e-4,
                nesterov=True,
            )
            for name in self.learning
        }
        for name in frozen:
            networks[name].requires_grad_(False)

    def __call__(self, image: Tensor, label: Tensor) -> None:
        """Take one step, and read its losses and accuracies."""
        self.taken += 1
        device = image.device.type
        with torch.autocast(device, self.precision, enabled=self.precision != torch.float32):
            logits = {name: network(image) for name, network in self.networks.items()}
        logits = {name: each.float() for name, each in logits.items()}
        losses = {name: self._loss(name, logits, label) for name in self.learning}
        for name, loss in losses.items():
            self.optimizers[name].zero_grad()
            torch.autograd.backward(loss, retain_graph=True)
        for name, loss in losses.items():
            if loss.item() != 0:
                self.optimizers[name].step()
        for name, each in logits.items():
            right = (each.argmax(dim=1) == label).float().mean().item()
            self.meters[name].append(right)
            if name in losses:
                self.meters[name].append(losses[name].item())

    def _loss(self, node: str, logits: Mapping[str, Tensor], label: Tensor) -> Tensor:
        loss = cross_entropy(logits[node], label)
        for transfer in self.transfers:
            if transfer.destination == node:
                loss = loss + self._transfer(transfer, logits, label)
        return loss

    def _transfer(self, transfer: Transfer, logits: Mapping[str, Tensor], label: Tensor) -> Tensor:
        source = logits[transfer.source].detach()
        p_s = torch.softmax(source, dim=1)
        p_t = torch.softmax(logits[transfer.destination], dim=1)
        divergence = (p_s * (torch.log(p_s + TINY) - torch.log(p_t + TINY))).sum(dim=1)
        if transfer.gate == "correct":
            divergence = divergence * (source.argmax(dim=1) == label).float()
        loss = divergence.mean()
        return loss * self.taken / self.steps if transfer.gate == "linear" else loss


Order = DataLoader[tuple[Tensor, int]]


class SingleImages(Dataset[tuple[Tensor, int]]):
    """Images one at a time, augmented as in the paper (Sec. 4.1) when `augment`."""

    def __init__(self, image: Tensor, label: Tensor, *, augment: bool) -> None:
        self.image, self.label = image, label
        crop = [v2.Pad(4, padding_mode="reflect"), v2.RandomCrop(image.shape[-1])]
        self.transform = v2.Compose(
            [
                *([*crop, v2.RandomHorizontalFlip()] if augment else []),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.image[index]), int(self.label[index])


def loader(image: Tensor, label: Tensor, batch: int, *, learn: bool, augment: bool) -> Order:
    """Batches made by worker processes; for training (`learn`) shuffled, and whole ones alone."""
    images = SingleImages(image, label, augment=augment)
    return DataLoader(images, batch, shuffle=learn, drop_last=learn, num_workers=WORKERS)


def accuracy(networks: Mapping[str, nn.Module], order: Order) -> dict[str, float]:
    """Top-1 in percent of each network, read batch by batch."""
    right = dict.fromkeys(networks, 0.0)
    count = 0
    with torch.no_grad():
        for network in networks.values():
            network.eval()
        for image, label in order:
            count += len(label)
            for name, network in networks.items():
                right[name] += (network(image).argmax(dim=1) == label).sum().item()
        for network in networks.values():
            network.train()
    return {name: 100 * each / count for name, each in right.items()}


def epoch(step: Reference, learned: Order, evaluated: Order) -> dict[str, float]:
    """One epoch and its evaluation."""
    for image, label in learned:
        step(image, label)
    return accuracy(step.networks, evaluated)
