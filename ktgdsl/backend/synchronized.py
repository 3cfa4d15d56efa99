"""Batch norm and dropout across processes: as of the whole batch, of which each has a part."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ktgdsl.backend.networks import Dropout
from ktgdsl.backend.process_group import process_group, summed


class SynchronizedNorm(_BatchNorm):
    """A batch norm over the samples of all processes, each of which has equally many.

    Unlike `torch.nn.SyncBatchNorm` on a CPU, too. In eval mode it is a batch norm like others.
    """

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ValueError(f"expected at least 2 dimensions, got {x.dim()}")

    def forward(self, x: Tensor) -> Tensor:
        """Return x (B, channels, *rest) normalised, and move the running statistics."""
        if not self.training:
            return super().forward(x)
        count = process_group().size
        shape = (1, -1, *[1] * (x.dim() - 2))
        over = [0, *range(2, x.dim())]
        values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        mean = summed(values.mean(over)) / count
        centred = values - mean.view(shape)
        variance = summed(centred.square().mean(over)) / count
        self._move(mean.detach(), variance.detach(), values.numel() // values.shape[1] * count)
        normalised = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normalised = normalised * self.weight.view(shape) + self.bias.view(shape)
        return normalised.to(x.dtype)

    @torch.no_grad()
    def _move(self, mean: Tensor, variance: Tensor, samples: int) -> None:
        """Move the running statistics, the variance without the bias of so many samples."""
        if not self.track_running_stats:
            return
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        self.num_batches_tracked += 1
        share = self.momentum
        if share is None:
            share = 1 / float(self.num_batches_tracked)
        unbiased = variance * (samples / max(1, samples - 1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


class SynchronizedDropout(nn.Module):
    """A dropout of ours with the mask of the whole batch, however many processes there are."""

    def __init__(self, dropout: Dropout) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Return x (b, *rest), in training mode as the whole batch would have these rows."""
        if not self.training:
            return x
        group = process_group()
        # A stand-in of the whole batch, in the layout that the mask is drawn in.
        whole = torch.cat([torch.ones_like(x)] * group.size)
        return x * group.part(self.dropout(whole))


def synchronize(networks: Iterable[nn.Module], *, norms: bool) -> None:
    """Replace the dropouts of networks, and with `norms` their batch norms, by synchronised ones.

    They have the same tensors and random streams. Layers that networks share stay shared.
    """
    replaced: dict[nn.Module, nn.Module] = {}
    for parent in [module for network in networks for module in network.modules()]:
        for name, child in list(parent.named_children()):
            if child not in replaced and (made := _synchronized(child, norms)) is not None:
                replaced[child] = made
            if child in replaced:
                setattr(parent, name, replaced[child])


def _synchronized(layer: nn.Module, norms: bool) -> nn.Module | None:
    if type(layer) is Dropout:
        return SynchronizedDropout(layer)
    if norms and type(layer) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        assert isinstance(layer, _BatchNorm)
        return _synchronized_norm(layer)
    return None


def _synchronized_norm(norm: _BatchNorm) -> SynchronizedNorm:
    made = SynchronizedNorm(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    made.weight, made.bias = norm.weight, norm.bias
    made.running_mean, made.running_var = norm.running_mean, norm.running_var
    made.num_batches_tracked = norm.num_batches_tracked
    made.training = norm.training
    return made
