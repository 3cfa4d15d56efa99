"""The modules of ensembles that learn how to combine: scores of members, or logits.

Features are (B, channels), or maps (B, channels, height, width), which are averaged over height
and width except where each pixel has its logits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ktgdsl.backend.numerics import full
from ktgdsl.vocabulary.combines import AttentionMix, Combine, Concat, Gated


class Gate(nn.Module):
    """ReLU(BN(W pool(h))), (B, members): one number a member for features h.

    Lan et al., NeurIPS 2018.
    """

    def __init__(self, channels: int, members: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels, members, bias=False), nn.BatchNorm1d(members), nn.ReLU()
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the scores of all members."""
        scores: Tensor = self.layers(_flat(features))
        return scores


class Attention(nn.Module):
    """(Q f_t)ᵀ (K f_k), (B, members): how alike the features of a destination and a member are.

    Chen et al., AAAI 2020, Eq. 5: the projections have no bias, and nothing divides the products.
    """

    def __init__(self, channels: int, projected: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, projected, bias=False)
        self.key = nn.Linear(channels, projected, bias=False)

    def forward(self, destination: Tensor, *members: Tensor) -> Tensor:
        """Return the scores of members for a destination."""
        query = full(self.query(_flat(destination)))
        keys = torch.stack([full(self.key(_flat(each))) for each in members], dim=-1)
        return (query.unsqueeze(-1) * keys).sum(1)


class Classifier(nn.Module):
    """W [f_1, ..., f_K] + b, (B, classes), or (B, classes, height, width) for maps if `dense`.

    Wu and Gong, AAAI 2021.
    """

    def __init__(self, channels: int, classes: int, *, dense: bool) -> None:
        super().__init__()
        self.dense = dense
        self.layer = nn.Conv2d(channels, classes, 1) if dense else nn.Linear(channels, classes)

    def forward(self, *features: Tensor) -> Tensor:
        """Return logits for the features of all members."""
        parts = features if self.dense else [_flat(each) for each in features]
        logits: Tensor = self.layer(torch.cat(list(parts), dim=1))
        return logits


class Weights(nn.Module):
    """v, (members,): one number a member, the same for all samples; 0 before the training."""

    def __init__(self, members: int) -> None:
        super().__init__()
        self.v = nn.Parameter(torch.zeros(members))

    def forward(self) -> Tensor:
        """Return the scores of all members."""
        return self.v.view_as(self.v)


def mixer(
    combine: Combine, features: Sequence[Sequence[int]], members: int, classes: int, *, dense: bool
) -> nn.Module:
    """Make the module of a way to combine `members`; `features` are the shapes of its inputs.

    The weights come from torch's random stream, which the caller seeds. `dense` says that each
    pixel has logits. Raises ValueError where the features do not fit.
    """
    channels = [shape[0] for shape in features]
    match combine:
        case Gated():
            return Gate(channels[0], members)
        case AttentionMix():
            if len(set(channels)) > 1:
                raise ValueError(
                    "`attention` compares features, and these have "
                    f"{', '.join(map(str, sorted(set(channels))))} channels"
                )
            return Attention(channels[0], combine.projected(channels[0]))
        case Concat():
            return Classifier(sum(channels), classes, dense=dense)
    return Weights(members)


def _flat(features: Tensor) -> Tensor:
    return features.flatten(2).mean(2) if features.ndim > 2 else features
