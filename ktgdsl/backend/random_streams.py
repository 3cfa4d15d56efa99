"""Random streams for code that is not ours, which draws from global generators."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from ktgdsl.backend.seeds import derive

CPU = torch.device("cpu")


@contextmanager
def random_stream(seed: int, device: torch.device = CPU) -> Iterator[None]:
    """Have torch, on the CPU and on `device`, Python and NumPy draw from the stream of a seed.

    After the block they draw from their own, as if nothing had been drawn in it.
    """
    python, numpy = random.getstate(), np.random.get_state()
    accelerators = [] if device.type == "cpu" else [device]
    kind = device.type if accelerators else "cuda"
    with torch.random.fork_rng(accelerators, device_type=kind):
        torch.default_generator.manual_seed(seed)
        if accelerators:
            torch.get_device_module(device).manual_seed_all(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


class ForwardStream:
    """The random stream of the forwards of a network: of dropout, stochastic depth and the like.

    What a forward draws depends on the seed, the step and how often the network was called in
    the step, so that a training that resumes at a step draws as one that was never interrupted.
    In eval mode, where few networks draw, it is the same at every call.
    """

    def __init__(self, network: nn.Module, seed: int) -> None:
        self._seed = seed
        self._step = 0
        self._calls = 0
        self._open = ExitStack()
        # Not decorators: they would import the compiler for everybody.
        disable: Any = torch.compiler.disable  # it has no types
        before, after = disable(self._before), disable(self._after)
        network.register_forward_pre_hook(before)
        network.register_forward_hook(after, always_call=True)

    def begin(self, step: int) -> None:
        """Start the stream of a step, counted from 1."""
        self._step, self._calls = step, 0

    def _before(self, network: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._calls += network.training
        parts = (self._step, self._calls) if network.training else ("evaluation",)
        stream = random_stream(derive(self._seed, *parts), inputs[0].device)
        self._open.enter_context(stream)

    def _after(self, *_: object) -> None:
        self._open.close()
