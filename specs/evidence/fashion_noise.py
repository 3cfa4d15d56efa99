"""Fashion-MNIST with wrong labels, and a small clean split to judge by."""

import gzip
import os
from pathlib import Path

import numpy as np

FOLDER = "/usr/share/datasets/fashion-mnist"  # of Debian's package dataset-fashion-mnist


def noisy(split, wrong=0.3, samples=10_000, judge="test", seed=0):
    """Training images of which the share `wrong` has another label than its own.

    The images, which of them are wrong, and their wrong label, one of the nine others, depend on
    `seed` alone. "test" is the test split, or with `judge="clean"` 500 training images with their
    right labels that are not among the samples.

    Returns:
        images (N, 1, 28, 28) and labels (N,), both uint8.
    """
    if split == "test" and judge == "test":
        return _read("t10k")
    image, label = _read("train")
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(label))
    if split == "test":
        chosen = order[samples : samples + 500]
        return image[chosen], label[chosen]
    chosen = order[:samples]
    shift = generator.integers(1, 10, samples, dtype=np.uint8)
    shift[round(wrong * samples) :] = 0  # the order is random already
    return image[chosen], (label[chosen] + shift) % 10


def _read(name):
    """The images and labels of the files of a split; their headers have 16 and 8 bytes."""
    folder = Path(os.environ.get("KTGDSL_DATA", FOLDER))
    with gzip.open(folder / f"{name}-images-idx3-ubyte.gz") as file:
        image = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz") as file:
        label = np.frombuffer(file.read(), np.uint8, offset=8)
    return image, label
