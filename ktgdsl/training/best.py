"""Tracks the best epoch of each node that learns in a phase, by accuracy, with its weights."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ktgdsl.program.model import Phase
from ktgdsl.training.state_checks import require_amount, require_like, require_number


@dataclass(frozen=True)
class BestEpoch:
    """The first epoch with the highest accuracy, and the weights after it where they are kept."""

    epoch: int
    accuracy: float
    weights: Mapping[str, Tensor] | None


class BestEpochs:
    """The best epochs of a phase so far, by node.

    Each node has its own, since the epoch that is best for one is not for another; but those that
    share layers take the best one of the first of them.

    Args:
        networks: of the nodes that are judged.
        keep: whether to keep their weights.
        first: the first sharer, for each node that shares layers.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        keep: bool,
        first: Mapping[str, str] | None = None,
    ) -> None:
        self._networks = networks
        self._keep = keep
        self._judges = {name: (first or {}).get(name, name) for name in networks}
        self._epoch = 0
        self._best: dict[str, BestEpoch] = {}

    @property
    def epoch(self) -> int:
        """The number of epochs so far."""
        return self._epoch

    @property
    def accuracy(self) -> dict[str, float]:
        """The accuracy of each node in its best epoch."""
        return {name: best.accuracy for name, best in self._best.items()}

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that are judged."""
        return tuple(self._networks)

    def note(self, accuracy: Mapping[str, float]) -> None:
        """Take the accuracies after the next epoch into account."""
        self._epoch += 1
        better = {
            name
            for name in self._networks
            if name not in self._best or accuracy[name] > self._best[name].accuracy
        }
        for name, network in self._networks.items():
            if self._judges[name] in better:
                weights = network.state_dict() if self._keep else None
                copy = weights and {key: each.detach().clone() for key, each in weights.items()}
                self._best[name] = BestEpoch(self._epoch, accuracy[name], copy)

    def is_earlier(self, node: str) -> bool:
        """Whether a node that is judged was better in an epoch before the last one noted."""
        return node in self._best and self._best[node].epoch < self._epoch

    @property
    def waited(self) -> int:
        """The number of epochs since any node was better than before."""
        return self._epoch - max((each.epoch for each in self._best.values()), default=0)

    def load_weights(self) -> None:
        """Load the weights that were kept into the networks."""
        for name, best in self._best.items():
            if best.weights is not None:
                self._networks[name].load_state_dict(best.weights)

    def state_dict(self) -> dict[str, Any]:
        """The state as plain data and tensors."""
        return {"epoch": self._epoch, "best": {n: vars(best) for n, best in self._best.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from a `state_dict`, of the same networks. Raises ValueError for any other."""
        self._epoch = require_number(state["epoch"], 0, sys.maxsize, "best.epoch")
        self._best = {name: BestEpoch(**best) for name, best in state["best"].items()}
        if self._best.keys() != (self._networks.keys() if self._epoch else set()):
            raise ValueError("`best` has other nodes than those that are judged")
        for name, best in self._best.items():
            require_number(best.epoch, 1, self._epoch, f"best.{name}.epoch")
            require_amount(best.accuracy, 0, 100, f"best.{name}.accuracy")
            weights = self._networks[name].state_dict() if self._keep else None
            require_like(best.weights, weights, f"best.{name}.weights")


def best_epochs(phase: Phase, modules: Mapping[str, nn.Module]) -> BestEpochs:
    """The tracker for a phase that begins: of all nodes that it changes, if their accuracy matters.

    `modules` are the networks and the mixers of ensembles, by node.
    """
    keep = phase.take == "best"
    judged = keep or phase.patience is not None
    changing = [*(each.name for each in phase.learners), *(each.name for each in phase.followers)]
    # The trunk of most sharers comes first.
    sharers = reversed([each.sharers for each in phase.trunks])
    first = {name: names[0] for names in sharers for name in names} if keep else {}
    networks = {name: modules[name] for name in changing} if judged else {}
    return BestEpochs(networks, keep=keep, first=first)
