"""The metrics of an epoch, summed on the device and read once; and evaluation."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.output import Output
from ktgdsl.backend.process_group import SINGLE, ProcessGroup, sum_in_place
from ktgdsl.plan.heads import answer_names, with_means
from ktgdsl.program.model import Phase
from ktgdsl.training.events import EdgeMetrics, EpochMetrics, NonFinite
from ktgdsl.training.predictions import GraphPredictor, NetworkPredictor
from ktgdsl.training.state_checks import require_like

Watch = Callable[[Mapping[str, Tensor], Tensor], None]
"""Takes the logits of a batch, (B, classes) by node, and its labels (B,)."""


class EpochMeter:
    """Adds up the metrics of one epoch of a phase on the device; only `read` waits for it.

    `steps` is how many steps it has.
    """

    def __init__(
        self, phase: Phase, device: torch.device, columns: Mapping[str, int] | None = None
    ) -> None:
        """`columns` has the label that each answer is for, where samples have several."""
        self._columns = columns or {}
        self._nodes = answer_names(phase.answering, self._columns)
        self._learning = list(phase.learns)
        self._edges = [edge.key for edge in phase.edges]
        self._into = {edge.key: edge.learner for edge in phase.edges}
        losses = len(self._learning) + len(self._edges)
        # All sums share one dtype, so that they leave the device as one tensor; its whole
        # numbers are exact far beyond any count. MPS has no float64.
        dtype = torch.float32 if device.type == "mps" else torch.float64
        self._loss = torch.zeros(losses, dtype=dtype, device=device)
        self._first = torch.zeros_like(self._loss)
        self._value = torch.zeros_like(self._loss)
        self._open = torch.zeros(len(self._edges), dtype=dtype, device=device)
        self._always = self._open.new_ones(())
        self._correct = torch.zeros(len(self._nodes), dtype=dtype, device=device)
        self._labeled = torch.zeros_like(self._correct)
        self.steps = 0

    @torch.no_grad()
    def update(self, output: Output, label: Tensor, k: int) -> None:
        """Adds step `k` (counted from 1) of a batch with `label` (B,), -1 for unlabeled.

        Or (B, labels) where samples have several.
        """
        self.steps += 1
        losses = [output.losses[name] for name in self._learning]
        losses += [output.edges[key] for key in self._edges]
        loss = torch.stack(losses).to(self._loss.dtype)
        broken = ~loss.isfinite() & (self._first == 0)
        self._first = torch.where(broken, k, self._first)
        self._value = torch.where(broken, loss, self._value)
        self._loss += loss
        if self._nodes:
            logits = {name: output.logits[name] for name in self._nodes}
            self._correct += _correct(logits, label, self._columns)
            self._labeled += _labeled(self._nodes, label, self._columns)
        if self._edges:
            shares = [output.open.get(key, self._always) for key in self._edges]
            self._open += torch.stack(shares).to(self._open.dtype)

    def read(self) -> EpochMetrics:
        """The means over the steps so far: waits for the device, once."""
        if self.steps == 0:
            raise ValueError("a meter without a step has no means")
        parts = iter(torch.cat(self._sums).tolist())
        loss, first, value, share, *counts = ([next(parts) for _ in one] for one in self._sums)
        nodes, steps = len(self._learning), self.steps
        return EpochMetrics(
            steps=steps,
            loss={name: loss[i] / steps for i, name in enumerate(self._learning)},
            accuracy=_accuracy(self._nodes, *counts),
            edges={
                key: EdgeMetrics(loss=loss[nodes + i] / steps, open=share[i] / steps)
                for i, key in enumerate(self._edges)
            },
            nonfinite=self._nonfinite(first, value),
        )

    @property
    def _sums(self) -> list[Tensor]:
        return [self._loss, self._first, self._value, self._open, self._correct, self._labeled]

    def state_dict(self) -> dict[str, Any]:
        """The sums so far, on the device."""
        return {"steps": self.steps, "sums": torch.cat(self._sums)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from the state of a meter of the same phase. Raises ValueError otherwise."""
        own = self.state_dict()
        require_like(state, own, "meter")
        parts = torch.split(state["sums"], [len(one) for one in self._sums])
        for one, part in zip(self._sums, parts, strict=True):
            one.copy_(part)
        self.steps = state["steps"]

    def _nonfinite(self, first: list[float], value: list[float]) -> NonFinite | None:
        steps = [int(step) for step in first if step > 0]
        if not steps:
            return None
        earliest = min(steps)
        nodes = len(self._learning)
        edges = [i for i in range(len(self._edges)) if first[nodes + i] == earliest]
        if edges:
            key, broken = self._edges[edges[0]], value[nodes + edges[0]]
            return NonFinite(self._into[key], key, earliest, broken, others=len(edges) - 1)
        index = next(i for i in range(nodes) if first[i] == earliest)
        return NonFinite(self._learning[index], None, earliest, value[index])


def _correct(logits: Mapping[str, Tensor], label: Tensor, columns: Mapping[str, int]) -> Tensor:
    """How many top-1 predictions of each answer are the label (N,) that it is for.

    An unlabeled sample never is. `columns` says which of several labels (N, labels) that is.
    """
    labels = {name: label[:, columns[name]] if columns else label for name in logits}
    right = [(each.argmax(dim=1) == labels[name]).sum() for name, each in logits.items()]
    return torch.stack(right)


def _labeled(names: Iterable[str], label: Tensor, columns: Mapping[str, int]) -> Tensor:
    """How many samples have a label, for all answers or, of several labels, for each."""
    if not columns:
        return (label >= 0).sum()
    counts = (label >= 0).sum(dim=0)
    return torch.stack([counts[columns[name]] for name in names])


def _accuracy(
    names: Iterable[str], correct: Iterable[float], labeled: Iterable[float]
) -> dict[str, float]:
    """Percent of the labeled samples, of a node with several heads the mean over these too."""
    counts = zip(names, correct, labeled, strict=True)
    return with_means({name: 100 * right / max(1, whole) for name, right, whole in counts})


def finite(networks: Iterable[nn.Module]) -> list[bool]:
    """Whether all parameters of each network are finite numbers. Waits for the device once."""
    largest = [
        # The largest magnitude is not finite exactly when some number is not.
        torch.stack([one.abs().max().float() for one in network.parameters() if one.numel()]).max()
        for network in networks
    ]
    # Networks may be on devices of their own.
    return torch.stack([each.to(largest[0].device) for each in largest]).isfinite().tolist()


@contextmanager
def eval_mode(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Put the networks into eval mode, and restore the mode of every submodule afterwards."""
    modes = {part: part.training for network in networks for part in network.modules()}
    try:
        for part in modes:
            part.training = False
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@torch.no_grad()
def evaluate(
    predictor: NetworkPredictor | GraphPredictor,
    batches: Iterable[tuple[Tensor, Tensor]],
    watch: Watch | None = None,
    group: ProcessGroup = SINGLE,
) -> dict[str, float]:
    """Top-1 accuracy in percent of each node over labeled (image, label) batches.

    Of a node with several heads that of each, by `a.colour`, and their mean as that of the node.
    The networks are evaluated in eval mode; the mode of every submodule is restored. 0 when no
    sample is labeled. `watch` receives the logits and labels of each batch. In a `group` of several
    processes the batches are this one's, and the accuracy is over those of all.
    """
    names, columns = answer_names(predictor.nodes, predictor.columns), predictor.columns
    correct: list[Tensor] = []
    labeled: list[Tensor] = []
    with eval_mode([predictor]):
        for image, label in batches:
            logits = predictor(image)
            correct.append(_correct(logits, label, columns))
            labeled.append(_labeled(names, label, columns).expand(len(names)))
            if watch is not None:
                for name, each in logits.items():
                    watch({name: each}, label[:, columns[name]] if columns else label)
    sums = torch.stack([torch.stack(each).sum(dim=0) for each in (correct, labeled)])
    if group.is_distributed:
        sum_in_place([sums])
    return _accuracy(names, *sums.tolist())
