"""Losses of the relations between the samples of a batch: each sample's value is its part.

Features are (B, ...), flattened to (B, D); values are (B,), and their mean is the published
loss. The source arrives detached.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import normalize, smooth_l1_loss

from ktgdsl.backend.feature_losses import differences, matched
from ktgdsl.backend.numerics import exactly, full, quotient, root
from ktgdsl.backend.registry import computes_loss


def squared_distances(features: Tensor) -> Tensor:
    """Return ‖f_i - f_j‖² of all pairs of rows, (B, B), exactly 0 for equal ones.

    Products of centred rows, so that the difference of large numbers loses no digits; what rounding
    leaves between equal rows is taken as 0.
    """
    rows = full(features).flatten(1)
    rows = rows - rows.mean(0)
    with exactly(rows):
        products = rows @ rows.T
    norms = products.diagonal()
    scale = norms.unsqueeze(0) + norms.unsqueeze(1)
    squares = scale - 2 * products
    return torch.where(squares > 16 * torch.finfo(rows.dtype).eps * scale, squares, 0.0)


@computes_loss("similarity")
def similarity(source: Tensor, destination: Tensor) -> Tensor:
    """Return ‖G_s,i - G_t,i‖² / B, rows of G = f fᵀ, each of which is divided by its norm.

    Tung and Mori, ICCV 2019, Eqs. 1 to 4.
    """
    s, t = _similarities(source), _similarities(destination)
    return (s - t).square().sum(1) / len(s)


def _similarities(features: Tensor) -> Tensor:
    rows = full(features).flatten(1)
    with exactly(rows):
        return normalize(rows @ rows.T)


@computes_loss("rkd")
def rkd(source: Tensor, destination: Tensor, distance: float, angle: float) -> Tensor:
    """Return distance · mean_j h(d_s,ij - d_t,ij) + angle · mean_jk h(c_s,jik - c_t,jik).

    d = √max(‖f_i - f_j‖², 1e-12) over its mean where it is not 0, and 0 on the diagonal; c is the
    cosine of the angle at i between j and k, 0 where one of them is at i; h is Huber's loss with
    threshold 1. Park et al., CVPR 2019, Eqs. 3 to 8.
    """
    s, t = squared_distances(source), squared_distances(destination)
    value = torch.zeros(len(s), dtype=t.dtype, device=t.device)
    if distance != 0:
        pairs = smooth_l1_loss(_relative(t), _relative(s), reduction="none")
        value = value + distance * pairs.mean(1)
    if angle != 0:
        triples = smooth_l1_loss(_cosines(t), _cosines(s), reduction="none")
        value = value + angle * triples.mean((1, 2))
    return value


def _relative(squares: Tensor) -> Tensor:
    """Distances over their mean; the mean is of what is not 0, as in the authors' code."""
    itself = torch.eye(len(squares), dtype=torch.bool, device=squares.device)
    distances = squares.clamp_min(1e-12).sqrt().masked_fill(itself, 0.0)
    mean = distances.sum() / max(len(squares) * (len(squares) - 1), 1)
    return quotient(distances, mean)


def _cosines(squares: Tensor) -> Tensor:
    """cos of the angle at i between j and k, (B, B, B), by the law of cosines."""
    sides = root(squares)
    product = sides.unsqueeze(2) * sides.unsqueeze(1)
    twice = squares.unsqueeze(2) + squares.unsqueeze(1) - squares.unsqueeze(0)
    return quotient(twice / 2, product)


@computes_loss("metric")
def metric(source: Tensor, destination: Tensor, on: str, norm: str) -> Tensor:
    """Return B Σ_j x_ij² / ‖x‖ with x = D_s - D_t, the distances of all pairs; mean: ‖x‖.

    With `norm` "pairs" mean_j |x_ij|; on "features" ‖f_s,i - f_t,i‖ of flat features of one size.
    Yu et al., CVPR 2019, the relative and the absolute teacher.
    """
    if on == "features":
        s, t = matched(source, destination)
        return root(differences(s, t).square().flatten(1).sum(1))
    x = root(squared_distances(source)) - root(squared_distances(destination))
    if norm == "pairs":
        return x.abs().mean(1)
    squares = x.square().sum(1)
    return quotient(len(x) * squares, root(squares.sum()))


@computes_loss("irg")
def irg(
    source: Tensor,
    destination: Tensor,
    logits: float,
    distances: float,
    transforms: float,
    *features: Tensor,
) -> Tensor:
    """Return the weighted sum of the squared differences of vertices, edges and transformations.

    `features` are the source's at each tap, then the destination's. Edges are ‖f_i - f_j‖² at a
    tap over their maximum, transformations ‖g_i - f_i‖² from tap to next tap over theirs. Liu et
    al., CVPR 2019, Eqs. 2 to 8.
    """
    half = len(features) // 2
    of_source, of_destination = features[:half], features[half:]
    vertices = (full(source) - full(destination)).square().flatten(1).mean(1)
    edges = [
        (_over_maximum(squared_distances(s)) - _over_maximum(squared_distances(t))).square().mean(1)
        for s, t in zip(of_source, of_destination, strict=True)
    ]
    value = logits * vertices + distances * torch.stack(edges).mean(0)
    if half == 1:
        return value
    changes = [
        (_over_maximum(_change(*s)) - _over_maximum(_change(*t))).square()
        for s, t in zip(pairwise(of_source), pairwise(of_destination), strict=True)
    ]
    return value + transforms * torch.stack(changes).mean(0)


def _over_maximum(values: Tensor) -> Tensor:
    return quotient(values, values.amax())


def _change(first: Tensor, second: Tensor) -> Tensor:
    """‖g_i - f_i‖² (B,), with the channels of the wider averaged in groups of neighbours.

    Raises:
        ValueError: when the channels of one are no multiple of the other's.
    """
    f, g = matched(first, second)
    narrow, wide = sorted((f.shape[1], g.shape[1]))
    if wide % narrow:
        raise ValueError(
            f"`irg` compares {wide} channels with {narrow}, and one must be a multiple of the other"
        )
    f, g = (x.reshape(len(x), narrow, -1, *x.shape[2:]).mean(2) for x in (f, g))
    return (g - f).square().flatten(1).sum(1)
