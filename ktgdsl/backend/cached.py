"""A cache of the outputs of a frozen network, by the numbers of the samples."""

import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from ktgdsl.backend.frozen import Frozen
from ktgdsl.backend.taps import tapped
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import NodeError
from ktgdsl.plan.model import LOGITS


class CachedOutputs(nn.Module):
    """Caches the outputs of a frozen network at its taps for each sample of the training split.

    `prepare` has to be called with each batch before its outputs are read. An output may depend in
    its last bits on the size of a batch, since that is what chooses the kernels, but not on the
    other samples in it. So a batch of another size than the first is computed, and the first
    one twice, in two orders: where the bits differ, all batches are computed.

    Args:
        node: whose network it is.
        network: of the node; it is in eval mode.
        taps: all that is read of it.
        samples: of the training split.
        heads: of the network, where it has several.
    """

    def __init__(
        self,
        node: str,
        network: nn.Module,
        taps: tuple[str, ...],
        samples: int,
        heads: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.node = node
        self.network = Frozen(tapped(node, network, taps, heads), "eval")
        self._samples = samples
        self.forget()

    def forget(self) -> None:
        """Clear the cache, since the weights may have changed."""
        self._tables: dict[str, _Table] = {}
        self._now: dict[str, Tensor] | None = None
        self._missing: Tensor | None = None
        self._batch = 0
        self._varies = False

    def prepare(self, image: Tensor, sample: Tensor, fits: Callable[[int], bool]) -> None:
        """Make sure that the outputs of a batch are in the cache.

        Waits for the device until every sample has been seen once.

        Args:
            image: (B, C, H, W).
            sample: (B,) int64, positions in the training split.
            fits: whether so many bytes can be kept on the device.

        Raises:
            NodeError: when they do not fit (E504).
        """
        self._now = None
        if len(sample) > self._batch:  # the first, or one after a resume at a smaller last batch
            self._begin(image, fits)
        if len(sample) != self._batch:
            self._now = self.network(image)
        elif self._varies or (self._missing is not None and self._missing[sample].any()):
            for tap, output in self.network(image).items():
                self._tables[tap].write(sample, output)
            if self._missing is not None:
                self._missing[sample] = False
                self._missing = self._missing if self._missing.any() else None

    def read(self, sample: Tensor, taps: Iterable[str]) -> dict[str, Tensor]:
        """The outputs (B, ...) of samples (B,) at some taps."""
        if self._now is not None:
            return {tap: self._now[tap] for tap in taps}
        if not self._tables:
            raise RuntimeError(f"no outputs of node {self.node} are kept yet")
        return {tap: self._tables[tap].read(sample) for tap in taps}

    def _begin(self, image: Tensor, fits: Callable[[int], bool]) -> None:
        outputs = self.network(image)
        size = self._samples * sum(each[0].nbytes for each in outputs.values())
        if not fits(size):
            message = (
                f"`cache = outputs` of node `{self.node}` would keep {size / 2**20:,.0f} MiB for "
                f"{self._samples:,} samples, and so much memory is not free"
            )
            help = "leave it out, or let edges read logits, which are small"
            raise NodeError(self.node, Diagnostic("E504", message, help=help))
        order = torch.randperm(len(image), generator=torch.Generator().manual_seed(0))
        order = order.to(image.device)
        again = self.network(image[order])
        self._varies = not all(torch.equal(again[tap], outputs[tap][order]) for tap in outputs)
        if self._varies:
            warnings.warn(
                f"the outputs of node {self.node} depend on chance here, or on the other samples "
                "of a batch, so they are computed in each step and not kept",
                stacklevel=2,
            )
        self._batch = len(image)
        self._missing = torch.ones(self._samples, dtype=torch.bool, device=image.device)
        self._tables = {tap: _Table(output, self._samples) for tap, output in outputs.items()}


class _Table:
    """Rows like those of an output (B, ...), in the same layout, on which sums depend."""

    def __init__(self, output: Tensor, rows: int) -> None:
        inner = sorted(range(1, output.dim()), key=output.stride, reverse=True)
        self._order = (0, *inner)
        self._back = sorted(range(output.dim()), key=self._order.__getitem__)
        self._rows = output.new_empty((rows, *(output.shape[i] for i in inner)))

    def write(self, index: Tensor, output: Tensor) -> None:
        self._rows[index] = output.permute(self._order)

    def read(self, index: Tensor) -> Tensor:
        return self._rows.index_select(0, index).permute(self._back)


class Lookup(nn.Module):
    """A call of a node that reads its outputs from the cache, by the numbers of the samples.

    Args:
        cache: of the node.
        taps: what the call reads; logits alone are given as a tensor, as a network would.
    """

    def __init__(self, cache: CachedOutputs, taps: tuple[str, ...]) -> None:
        super().__init__()
        self.cache = cache
        self.taps = taps

    def forward(self, sample: Tensor) -> Tensor | dict[str, Tensor]:
        """Return the outputs (B, ...) of the samples (B,)."""
        outputs = self.cache.read(sample, self.taps)
        return outputs[LOGITS] if self.taps == (LOGITS,) else outputs
