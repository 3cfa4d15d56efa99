"""Predictions: the logits that networks, and ensembles of them, give for images."""

from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor, nn

from ktgdsl.backend.graph import TrainingGraph, evaluation_graph
from ktgdsl.backend.trunks import logits_of
from ktgdsl.plan.heads import answer_names, by_head, label_columns
from ktgdsl.plan.model import Plan
from ktgdsl.program.from_plan import evaluation_of
from ktgdsl.program.trunks import trunks_of, with_trunk_calls


class NetworkPredictor(nn.Module):
    """Calls networks; stages that several have are computed once.

    `columns` has the label that each answer is for, where samples have several.
    """

    def __init__(
        self, networks: Mapping[str, nn.Module], columns: Mapping[str, int] | None = None
    ) -> None:
        super().__init__()
        self.nodes = tuple(networks)
        self.columns = columns or {}
        self.networks = nn.ModuleList(networks.values())

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the logits (B, classes, ...) of each node for images (B, channels, H, W).

        Of one with several heads those of each, by `a.colour`.
        """
        found: dict[str, Tensor] = {}
        for node, logits in zip(self.nodes, logits_of([*self.networks], image), strict=True):
            if isinstance(logits, Tensor):
                found[node] = logits
            else:
                found |= {f"{node}.{head}": each for head, each in logits.items()}
        return found


class GraphPredictor(nn.Module):
    """Calls each network once, and computes the ensembles of what they give."""

    def __init__(
        self,
        graph: TrainingGraph,
        nodes: Iterable[str],
        columns: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.nodes = tuple(nodes)
        self.columns = columns or {}
        self.graph = graph

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return logits, log p for ensembles of probabilities, as `NetworkPredictor`."""
        # Nothing of an evaluation is computed from labels or progress.
        nothing = image.new_full((image.shape[0],), -1, dtype=torch.int64)
        logits = self.graph(image, nothing, 1.0).logits
        return {name: logits[name] for name in answer_names(self.nodes, self.columns)}


class NodePredictor(nn.Module):
    """Calls a graph for what its one node answers."""

    def __init__(self, predictor: GraphPredictor) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, image: Tensor) -> Tensor | dict[str, Tensor]:
        """Return logits (B, classes, ...), or log p, for images (B, channels, H, W).

        Of several heads those of each, by the head's name.
        """
        answers: dict[str, Tensor] = self.predictor(image)
        (node,) = self.predictor.nodes
        return answers[node] if node in answers else by_head(answers, node)


def predictor(
    plan: Plan,
    nodes: Collection[str],
    networks: Mapping[str, nn.Module],
    parts: Mapping[str, nn.Module],
) -> NetworkPredictor | GraphPredictor:
    """A module that computes the logits of these nodes, in the order of the plan.

    Args:
        plan: that the nodes are of.
        nodes: networks and ensembles.
        networks: by node; those of the members are called too.
        parts: mixers by the names of their modules.
    """
    named = [each.name for each in plan.graph.evaluated if each.name in nodes]
    columns = label_columns(plan.graph, plan.data)
    if all(name in networks for name in named):
        return NetworkPredictor({name: networks[name] for name in named}, columns)
    update = with_trunk_calls(plan, evaluation_of(plan, named), trunks_of(plan))
    return GraphPredictor(evaluation_graph(plan, update, networks, parts), named, columns)
