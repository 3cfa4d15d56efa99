"""Saves, restores and seeds the global random states of Python, NumPy and PyTorch."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def preserved() -> Iterator[None]:
    """Restore the random states after the block, so that reading data changes no training."""
    python, of_numpy = random.getstate(), np.random.get_state()
    of_torch = torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)


def seed_all(seed: int) -> None:
    """Seed the streams of this process; those of GPUs stay as they are."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
