"""Captures a training step as one CUDA graph: one launch instead of thousands."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ktgdsl.backend.networks import Dropout
from ktgdsl.backend.output import Output

Compute = Callable[..., Output]
"""A step: computes an output from the tensors of a batch, and updates weights and optimisers."""

WARM_UP = 3
"""Steps on a side stream before the capture, as `torch.cuda.graph` asks for."""

MAX_DIFFERENCE = 0.05
"""By how much a replayed step may move the weights otherwise than a plain one, relative to how
far the plain one moves them."""


class Recording(Protocol):
    """A recorded step, whose tensors have fixed places in memory."""

    output: Output

    def replay(self) -> None:
        """Take the step again, on what is in these places now."""


Record = Callable[[Callable[[], Output], Sequence[Dropout]], Recording]


class CudaGraph:
    """Records what a function launches on the current device."""

    def __init__(self, compute: Callable[[], Output], dropouts: Sequence[Dropout]) -> None:
        self._graph = torch.cuda.CUDAGraph()
        for dropout in dropouts:
            if dropout.generator is not None:
                self._graph.register_generator_state(dropout.generator)
        with torch.cuda.graph(self._graph):
            self.output = compute()

    def replay(self) -> None:
        """Launch all of it again."""
        self._graph.replay()


class CapturedStep:
    """Takes steps by a recording, for batches with the shape of the first; others directly.

    The first call records a step, and compares the weights after a replayed step with those
    after a plain one. If they differ, or the recording fails, all steps are plain, with a
    warning that says why.

    Args:
        compute: the step.
        tensors: gives all tensors that a step changes. One that the optimiser creates in the
            first step counts as zero before it.
        dropouts: whose random streams a step advances.
        record: makes the recording.
    """

    def __init__(
        self,
        compute: Compute,
        tensors: Callable[[], Iterable[Tensor]],
        dropouts: Sequence[Dropout],
        record: Record = CudaGraph,
    ) -> None:
        self._compute = compute
        self._tensors = tensors
        self._dropouts = dropouts
        self._record = record
        self._attempted = False
        self._recording: Recording | None = None

    def __call__(self, *batch: Tensor) -> Output:
        """Take a step. Later steps do not change the tensors that it returns."""
        image = batch[0]
        # Of several GPUs the current one is the one that records and replays.
        with torch.cuda.device(image.device) if image.is_cuda else nullcontext():
            return self._take(batch)

    def _take(self, batch: Sequence[Tensor]) -> Output:
        if not self._attempted:
            self._attempted = True
            self._batch = [each.clone() for each in batch]
            self._recording = self._verified_recording()
        if self._recording is None or not all(map(_like, batch, self._batch)):
            return self._compute(*batch)
        for place, each in zip(self._batch, batch, strict=True):
            place.copy_(each)
        self._recording.replay()
        # The next replay writes to the memory of the recording.
        return self._recording.output.clone()

    def _verified_recording(self) -> Recording | None:
        """A recording that does what the plain step does; the state is left as it was."""
        before = self._state()
        try:
            with _side_stream(self._batch[0].device):
                for _ in range(WARM_UP):
                    self._restore(before)
                    self._step()
                expected = self._state()
            self._restore(before)
            recording = self._record(self._step, self._dropouts)
            self._restore(before)
            recording.replay()
            difference = self._difference(before, self._state(), expected)
        except RuntimeError as error:
            why = str(error).partition("\n")[0]
        else:
            self._restore(before)
            if difference <= MAX_DIFFERENCE:
                return recording
            why = f"a replayed step moves the weights otherwise, by {difference:.0%}"
        self._restore(before)
        warnings.warn(f"steps are launched one kernel after the other: {why}", stacklevel=5)
        return None

    def _step(self) -> Output:
        return self._compute(*self._batch)

    def _state(self) -> "_State":
        tensors = {id(each): each.detach().clone() for each in self._tensors()}
        return _State(tensors, [each.state() for each in self._dropouts])

    @torch.no_grad()
    def _restore(self, state: "_State") -> None:
        for each in self._tensors():
            saved = state.tensors.get(id(each))
            each.zero_() if saved is None else each.copy_(saved)
        for dropout, stream in zip(self._dropouts, state.streams, strict=True):
            dropout.set_state(stream)

    def _difference(self, before: "_State", actual: "_State", expected: "_State") -> float:
        """The distance of the weights from the expected ones, over that which a step moves them."""
        weights = [id(each) for each in self._tensors() if each.requires_grad]
        moved, off = (
            math.hypot(*((there.tensors[k] - here.tensors[k]).norm().item() for k in weights))
            for here, there in ((before, expected), (expected, actual))
        )
        return off / moved if moved else math.inf if off else 0.0


@dataclass(frozen=True)
class _State:
    """Copies of tensors by their identities, and the states of random streams."""

    tensors: Mapping[int, Tensor]
    streams: Sequence[Tensor | None]


@contextmanager
def _side_stream(device: torch.device) -> Iterator[None]:
    """Launch on another stream of a CUDA device inside of the block."""
    if device.type != "cuda":
        yield
        return
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(current)
    with torch.cuda.stream(side):
        yield
    current.wait_stream(side)


def _like(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype
