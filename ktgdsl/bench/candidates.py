"""The candidates that are timed: a step and its parts, the limit, and a matrix product."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ktgdsl.backend.factories import initial_network
from ktgdsl.backend.trunks import share_layers
from ktgdsl.bench.duration import evaluated_images
from ktgdsl.bench.timing import Candidate
from ktgdsl.plan.heads import label_columns
from ktgdsl.plan.model import DataPlan, Plan
from ktgdsl.program.model import Learner, Phase
from ktgdsl.training.assemble import assemble
from ktgdsl.training.batches import batches_in_order, numbered_batches
from ktgdsl.training.data import Split
from ktgdsl.training.datasets.preprocessing import Preprocessing, augmentation
from ktgdsl.training.execution import choose_execution
from ktgdsl.training.executors import apply_memory_format
from ktgdsl.training.metrics import EpochMeter, evaluate
from ktgdsl.training.optim import make_optimizers
from ktgdsl.training.predictions import NetworkPredictor
from ktgdsl.training.random_labels import random_labels
from ktgdsl.training.step import Stepper

ENDLESS = 10**9
"""Steps of a training that is never finished."""

BATCHES = 4
"""How many batches of random images the training split has."""

SIDE, SIDE_ON_CPU = 4096, 1024
"""Rows of the square matrices of the product."""


@dataclass(frozen=True)
class Training:
    """A training that can be timed, on random images and labels."""

    plan: Plan
    step: Stepper
    split: Split
    image: Tensor
    label: Tensor

    def take(self) -> object:
        """One step, on the same batch every time."""
        return self.step(*self._batch)

    def take_uncaptured(self) -> object:
        """The same, launched kernel by kernel, so that its operators can be counted."""
        return self.step.take_uncaptured(*self._batch)

    @property
    def _batch(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        sample = torch.arange(len(self.label), device=self.label.device)
        return self.image, self.label, sample, self.image

    def batch_and_metrics(self) -> Callable[[], None]:
        """A call that does what an epoch does besides a step: draws a batch, adds up metrics."""
        columns = label_columns(self.step.plan.graph, self.step.plan.data)
        meter = EpochMeter(self.step.phase, self.step.device, columns)
        output = self.step(*self._batch)
        endless = self._batches()

        def prepare() -> None:
            _, label, *_ = next(endless)
            meter.update(output, label, 1)

        return prepare

    def _batches(self) -> Iterator[tuple[Tensor, ...]]:
        epoch = 0
        while True:
            epoch += 1
            size, views = len(self.label), self.step.views
            yield from numbered_batches(self.split, size, 0, epoch, views=views)

    def evaluation(self, name: str) -> tuple[Callable[[], object], int]:
        """The evaluation of one batch of images by a node, and the number of these images."""
        size = min(self.plan.data.evaluation_batch_size, max(1, evaluated_images(self.plan)))
        split = random_split(self.plan, size, self.step.device)
        return lambda: evaluate(self.step.predictor([name]), batches_in_order(split, size)), size


def training(
    plan: Plan, device: torch.device, *, phase: int = 0, compiled: bool = True
) -> Training:
    """A training of a plan, in the phase of that number, on random images.

    Frozen nodes are not pre-trained.

    Raises RunError (E505) when a network does not fit the data.
    """
    if not compiled:
        plan = plan.model_copy(update={"train": plan.train.model_copy(update={"compile": "off"})})
    step = assemble(plan, device, seed=0, steps=ENDLESS)
    for _ in range(phase):
        step.end_phase()
    size, _ = plan.data.batch_sizes
    split = random_split(plan, BATCHES * size, device)
    image, label = split.batch(slice(0, size))
    return Training(plan, step, split, image, label)


def random_split(plan: Plan, count: int, device: torch.device) -> Split:
    """`count` images of noise with random labels, in the shape of the plan's data."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (count, *plan.data.shape), dtype=torch.uint8, generator=generator)
    label = random_labels(plan.data, count, generator).to(device)
    mask = label if plan.data.known_facts.masks else None
    return Split(
        image.to(device), label, preprocessing=_preprocessing(plan.data, device), mask=mask
    )


def _preprocessing(data: DataPlan, device: torch.device) -> Preprocessing:
    """The plan's preprocessing in cost, though not in mean and deviation."""
    half = torch.full((data.shape[0], 1, 1), 0.5, device=device)
    mean = half if data.augment == "standard" or data.mean is not None else None
    return Preprocessing(augmentation(data), mean, mean)


def limit(ours: Training) -> Candidate:
    """The same networks, each trained alone on the labels; of a frozen one only the forward.

    The networks are those that are computed in the phase that the training is in, not those with
    kept outputs. Those that share layers are trained together, and compute these once.

    In the same memory format and precision, by the same optimisers, one for each; not compiled.
    """
    plan, device, image, label = ours.plan, ours.step.device, ours.image, ours.label
    execution, program, phase = ours.step.execution, ours.step.program, ours.step.phase
    half = execution.precision.value == "bf16"
    networks: dict[str, nn.Module] = {}
    learns = {learner.name for learner in phase.learners}
    modes = {c.node: c.access == "follow" for u in phase.updates for c in u.calls}
    modes |= {node.name: node.name in learns or node.mode == "train" for node in plan.graph.nodes}
    for name, node in plan.graph.networks.items():
        network = networks[name] = initial_network(plan, node, 0).to(device)
        apply_memory_format(network, node.network.name, execution)
        network.train(modes.get(name, False))
    share_layers(program.trunks, networks)
    columns = label_columns(plan.graph, plan.data)
    labels = {name: label[:, column] for name, column in columns.items()}
    learning = [
        (
            NetworkPredictor({name: networks[name] for name in group}, columns),
            [*make_optimizers(learners, networks, device).values()],
        )
        for group, learners in _groups(phase)
        if group[0] in networks  # not what combines others
    ]
    computed = {call.node for update in phase.updates for call in update.computed}
    frozen = {name: each for name, each in networks.items() if name in computed - learns}

    def forward(group: NetworkPredictor) -> dict[str, Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            return group.forward(image)

    still = NetworkPredictor(frozen)

    def take() -> None:
        with torch.no_grad():
            forward(still)
        for group, optimizers in learning:
            for optimizer in optimizers:
                optimizer.zero_grad()
            losses = [
                cross_entropy(logits.float(), labels.get(name, label))
                for name, logits in forward(group).items()
            ]
            torch.autograd.backward(losses)
            for optimizer in optimizers:
                optimizer.step()

    return Candidate("limit", take)


def _groups(phase: Phase) -> Iterator[tuple[tuple[str, ...], list[Learner]]]:
    """The nodes that learn, those that share layers together, and what learns with them."""
    done: set[str] = set()
    for learner in phase.learners:
        if learner.name not in done:
            # The first trunk has all sharers of the others on top of it.
            trunks = [each for each in phase.trunks if learner.name in each.sharers][:1]
            names = trunks[0].sharers if trunks else (learner.name,)
            done.update(names)
            own = [each for each in phase.learners if each.name in names]
            yield names, own + [each for each in phase.trunks if {*each.sharers} & {*names}]


def peak_precision(plan: Plan, device: torch.device) -> torch.dtype:
    """The precision of the matrix product: bf16 if the plan uses it and it is fast here."""
    auto = plan.train.model_copy(update={"precision": "auto"})
    plans = plan, plan.model_copy(update={"train": auto})
    half = all(choose_execution(each, device).precision.value == "bf16" for each in plans)
    return torch.bfloat16 if half else torch.float32


def product(device: torch.device, dtype: torch.dtype) -> tuple[Candidate, int, str]:
    """A product of square matrices, its FLOPs, and a description."""
    side = SIDE_ON_CPU if device.type == "cpu" else SIDE
    a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    description = f"{side} x {side} matrices in {'fp32' if dtype == torch.float32 else 'bf16'}"
    # On a GPU torch lets convolutions use TF32, and products not, whose peak is far lower.
    tf32 = device.type == "cuda" and dtype == torch.float32
    if tf32 := tf32 and torch.backends.cudnn.allow_tf32:
        description = f"{side} x {side} matrices in TF32, which convolutions use"

    def multiply() -> None:
        with _tf32() if tf32 else nullcontext():
            torch.mm(a, b)

    return Candidate("product", multiply), 2 * side**3, description


@contextmanager
def _tf32() -> Iterator[None]:
    """Compute products in TF32 in the block."""
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
