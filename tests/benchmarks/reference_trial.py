"""A trial of a search, trained by the reference in a process of its own.

`python -m tests.benchmarks.reference_trial` reads the job as JSON from stdin and writes the
accuracies after its last epoch to stdout.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

import torch

from ktgdsl.backend import networks
from ktgdsl.training import digits
from tests.benchmarks.reference import Reference, Transfer, epoch, loader

CLASSES = 10


@dataclass(frozen=True)
class Job:
    """A graph on the digits, trained for `epochs` epochs of a training of `steps` steps.

    `networks` are words of the vocabulary and their arguments, by node; `transfers` are source,
    destination and gate. The first `learned` training images are learned, the `held` after them
    are evaluated.
    """

    networks: dict[str, tuple[str, dict[str, Any]]]
    transfers: list[tuple[str, str, str]]
    batch: int
    learned: int
    held: int
    steps: int
    epochs: int


def train(job: Job) -> dict[str, float]:
    """Top-1 in percent of every node after the last epoch."""
    image, label = digits.read()
    image = (image.int() * 255 // digits.WHITE).to(torch.uint8)
    last = job.learned + job.held
    learned = loader(
        image[: job.learned], label[: job.learned], job.batch, learn=True, augment=False
    )
    held = slice(job.learned, last)
    evaluated = loader(image[held], label[held], job.batch, learn=False, augment=False)
    made = {
        node: networks.make(word, arguments, image.shape[1], CLASSES)
        for node, (word, arguments) in job.networks.items()
    }
    step = Reference(made, [Transfer(*each) for each in job.transfers], steps=job.steps)
    accuracy: dict[str, float] = {}
    for _ in range(job.epochs):
        accuracy = epoch(step, learned, evaluated)
    return accuracy


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(train(Job(**json.load(sys.stdin)))))
