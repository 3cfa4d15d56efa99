"""A step captured as one CUDA graph: one launch instead of thousands."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ktgdsl.backend.networks import Dropout
from ktgdsl.backend.output import Output, copied

Compute = Callable[[Tensor, Tensor], Output]
"""A step: images and labels to what it computed, with new weights and a new optimiser state."""

WARM_UP = 3
"""Steps on a side stream before the capture, as `torch.cuda.graph` wants them."""

ALIKE = 0.05
"""Of the way that a plain step moves the weights: by how much a replayed one may differ."""


class Recording(Protocol):
    """A step that was recorded with everything at its place in memory."""

    output: Output

    def replay(self) -> None:
        """Take it again, on what is in the same places now."""


Record = Callable[[Callable[[], Output], Sequence[Dropout]], Recording]


class CudaGraph:
    """A recording of what a function launches on the current device."""

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
    """Takes steps by a recording, of batches with the shape of the first; others as they are.

    The first call records, and proves the recording by a step: where it does not do what the
    plain step does, or cannot be made, all steps are plain, with a warning that says why.

    Args:
        compute: the step.
        tensors: all that a step changes; what is not there before the first begins at zero.
        dropouts: whose random streams a step moves.
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
        self._tried = False
        self._recording: Recording | None = None

    def __call__(self, image: Tensor, label: Tensor) -> Output:
        """Take a step; what it returns is the caller's to keep."""
        # Of several GPUs the current one is the one that records and replays.
        with torch.cuda.device(image.device) if image.is_cuda else nullcontext():
            return self._taken(image, label)

    def _taken(self, image: Tensor, label: Tensor) -> Output:
        if not self._tried:
            self._tried = True
            self._image, self._label = image.clone(), label.clone()
            self._recording = self._made()
        if self._recording is None or not (_same(image, self._image) and _same(label, self._label)):
            return self._compute(image, label)
        self._image.copy_(image)
        self._label.copy_(label)
        self._recording.replay()
        # The next replay writes to the memory of the recording.
        return copied(self._recording.output)

    def _made(self) -> Recording | None:
        before = self._state()
        try:
            with _aside(self._image.device):
                for _ in range(WARM_UP):
                    self._restore(before)
                    self._step()
                wanted = self._state()
            self._restore(before)
            recording = self._record(self._step, self._dropouts)
            self._restore(before)
            recording.replay()
            difference = self._difference(before, self._state(), wanted)
        except RuntimeError as error:
            why = str(error).partition("\n")[0]
        else:
            self._restore(before)
            if difference <= ALIKE:
                return recording
            why = f"a replayed step moves the weights otherwise, by {difference:.0%}"
        self._restore(before)
        warnings.warn(f"steps are launched one kernel after the other: {why}", stacklevel=5)
        return None

    def _step(self) -> Output:
        return self._compute(self._image, self._label)

    def _state(self) -> "_State":
        tensors = {id(each): each.detach().clone() for each in self._tensors()}
        return _State(tensors, [each.state() for each in self._dropouts])

    @torch.no_grad()
    def _restore(self, state: "_State") -> None:
        for each in self._tensors():
            then = state.tensors.get(id(each))
            each.zero_() if then is None else each.copy_(then)
        for dropout, stream in zip(self._dropouts, state.streams, strict=True):
            dropout.set_state(stream)

    def _difference(self, before: "_State", now: "_State", wanted: "_State") -> float:
        """How far the weights are from where they should be, over the way there."""
        weights = [id(each) for each in self._tensors() if each.requires_grad]
        way, off = (
            math.hypot(*((there.tensors[k] - here.tensors[k]).norm().item() for k in weights))
            for here, there in ((before, wanted), (wanted, now))
        )
        return off / way if way else math.inf if off else 0.0


@dataclass(frozen=True)
class _State:
    """Copies of tensors by their identities, and the states of random streams."""

    tensors: Mapping[int, Tensor]
    streams: Sequence[Tensor | None]


@contextmanager
def _aside(device: torch.device) -> Iterator[None]:
    """On another stream of a CUDA device."""
    if device.type != "cuda":
        yield
        return
    here, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        yield
    here.wait_stream(aside)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype
