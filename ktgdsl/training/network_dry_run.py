"""Dry run of foreign networks before the training: what would fail later fails here."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parameter import is_lazy

from ktgdsl.backend.heads import FORM as HEADS
from ktgdsl.backend.own_code_errors import describe_with_place
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import NodeError, RunError
from ktgdsl.plan.heads import Answer, answers
from ktgdsl.plan.model import LOGITS, DataPlan, Node, Plan, SharedLayers
from ktgdsl.training.deterministic import reporting_nondeterministic_operators
from ktgdsl.training.memory_errors import is_out_of_memory

CHECKED_IMAGES = 2
"""How many images a network is asked about first."""

_FORM = (
    "a network maps images (B, channels, height, width) to logits (B, classes), or (B, classes, "
    "height, width) where each pixel has a label, or to what has them as `logits`"
)


def try_networks(
    plan: Plan, networks: Mapping[str, nn.Module], device: torch.device, *, half: bool
) -> None:
    """Try networks on noise in the shapes of the plan's batches, and leave them as they are.

    In eval mode on two images and on the last batch of an evaluation, and where it learns or is
    pre-trained in train mode on a smaller last batch, if there is one, and on a whole one, backward
    too. One that changes its images in place gets copies from here on, since others see the same.

    Args:
        plan: what is trained.
        networks: those to try by node, on the device.
        device: where.
        half: whether steps are computed in bf16.

    Raises:
        NodeError: where one cannot be trained or evaluated (E505).
        RunError: where one has to be deterministic and cannot be (E504).
    """
    _require_distinct(networks, plan.graph.shares)
    for name, node in plan.graph.networks.items():
        if name in networks:
            _require_tensors(name, networks[name])
            if name != node.name:  # a follower, which has no backward pass
                node = node.model_copy(update={"name": name, "frozen": "a copy", "weights": "own"})
            with _kept(networks[name]):
                _try(node, networks[name], plan.data, device, half)


def require_logits(
    node: Node, network: nn.Module, image: Tensor, label: Tensor, data: DataPlan
) -> None:
    """Ask the network of a node for the logits of two images, in eval mode.

    Args:
        node: of the plan.
        network: any module.
        image: (B, C, H, W), of which the first two are taken.
        label: (B, ...), or (B, labels) where samples have several; its shape alone counts.
        data: of the plan.

    Raises:
        NodeError: when it fails, changes the images, or gives something else than
            (B, classes, ...) (E505).
        RunError: when it cannot be deterministic and has to be (E504).
    """
    image, label = image[:CHECKED_IMAGES].clone(), label[:CHECKED_IMAGES]
    if data.labels:
        label = label[:, 0]
    with torch.no_grad(), _kept(network):
        network.eval()
        if _logits(node, network, image, label, data)[1]:
            help = "compute new ones, `x - mean`, instead of `x.sub_(mean)`"
            raise _unfit(node.name, "changes its images in place, which other nodes see too", help)


def _try(node: Node, network: nn.Module, data: DataPlan, device: torch.device, half: bool) -> None:
    noise = torch.Generator().manual_seed(0)

    def forward(size: int) -> tuple[list[Tensor], Tensor]:
        label = torch.zeros((size, *data.label_shape), dtype=torch.int64, device=device)
        image = torch.rand((size, *data.shape), generator=noise).to(device)
        logits, changed = _logits(node, network, image, label, data)
        if changed:
            network.register_forward_pre_hook(_copied)
        return logits, label

    network.eval()
    batch, rest = data.batch_sizes
    with torch.no_grad():
        for size in (CHECKED_IMAGES, *_last_batches(data)):
            forward(size)
    learns = node.learns or node.pretrained
    network.train(learns or node.mode == "train")
    with torch.no_grad():
        for size in [rest] * (rest > 0) if learns else [batch]:
            forward(size)
    if not learns:
        return
    if node.pretrained:
        network.requires_grad_()
    learned = [each for each in network.parameters() if each.requires_grad]
    if not learned:
        raise _unfit(node.name, "has no parameters that can learn", "let it be frozen")
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        logits, label = forward(batch)
    if not all(each.requires_grad for each in logits):
        raise _unfit(node.name, "gives logits that depend on none of its parameters")
    with _explained(node.name, f"fails in the backward pass of {batch} images", _FORM):
        losses = [cross_entropy(each.float(), label) for each in logits]
        torch.autograd.grad(losses, learned, allow_unused=True)


def _last_batches(data: DataPlan) -> set[int]:
    """The sizes of the last batches of the splits that are evaluated."""
    size = data.evaluation_batch_size
    splits = [data.known_facts.test_samples, *([data.held_out_samples] if data.holdout else [])]
    return {each % size or size for each in splits if each}


def _logits(
    node: Node, network: nn.Module, image: Tensor, label: Tensor, data: DataPlan
) -> tuple[list[Tensor], bool]:
    """The logits of images, of each head, and whether the network has changed the images."""
    name = node.name
    if any(is_lazy(each) for each in (*network.parameters(), *network.buffers())):
        problem = "is lazy: it has parameters without a shape"
        raise _unfit(name, problem, "call it once on a batch of the right shape")
    before, version = image.clone(), image._version
    shape = tuple(image.shape)
    help = _FORM
    if len(image) == 1 and network.training:
        help = (
            "a batch of one has no statistics for batch norm: write `batch = 2` or more, or leave "
            "the last one out by `drop_last = true`"
        )
    doing = " while it trains" if network.training and len(image) != CHECKED_IMAGES else ""
    with _explained(name, f"fails on images {shape}{doing}", help):
        output = network(image)
    found = []
    for answer in answers(name, node.heads):
        logits, what = _of_head(node, output, answer), "logits"
        if answer.tap != LOGITS:
            what = f"logits of the head `{answer.tap}`"
        expected = (len(label), data.classes_of(answer.head), *label.shape[1:])
        if tuple(logits.shape) != expected or not logits.is_floating_point():
            actual = f"{tuple(logits.shape)} of {logits.dtype}"
            raise _unfit(name, f"gives {actual}, and {what} of these data are {expected}")
        if logits.isnan().any():  # infinite ones may be meant, for classes that are masked
            raise _unfit(name, f"gives NaN as {what} of images {shape} of noise from 0 to 1", None)
        found.append(logits)
    return found, image._version != version or not torch.equal(image, before)


def _of_head(node: Node, output: Any, answer: Answer) -> Tensor:
    """The logits of a head, or the only ones. Raises NodeError where there are none."""
    problem = "not a tensor of logits"
    if answer.tap != LOGITS:
        heads = ", ".join(f"`{head}`" for head in node.heads)
        if not isinstance(output, Mapping) or answer.tap not in output:
            output_type = f"a {type(output).__name__}"
            if isinstance(output, Mapping):
                output_type = f"a dict with {', '.join(f'`{key}`' for key in output) or 'nothing'}"
            elif isinstance(output, tuple | list):
                output_type += f" of {len(output)}"
            raise _without_head(node, f"gives {output_type}, and its heads are {heads}")
        output, problem = output[answer.tap], f"not a tensor of logits, as its head `{answer.tap}`"
    if not isinstance(output, Tensor):
        raise _unfit(node.name, f"gives a {type(output).__name__}, {problem}")
    return output


def _without_head(node: Node, problem: str) -> NodeError:
    message = f"the network of node `{node.name}` {problem}"
    return NodeError(node.name, Diagnostic("E505", message, help=HEADS), setting="heads")


def _require_distinct(networks: Mapping[str, nn.Module], shares: Iterable[SharedLayers]) -> None:
    """Raise NodeError where nodes have a parameter or buffer in common that they do not share."""
    owners: dict[int, str] = {}
    layers = {
        node: tuple(f"{layer}." for each in shares if node in each.nodes for layer in each.layers)
        for node in networks
    }
    for node, network in networks.items():
        state = [*network.named_parameters(), *network.named_buffers()]
        for name, tensor in state:
            if id(tensor) in owners and not name.startswith(layers[node]):
                problem = f"shares its `{name}` with the network of node `{owners[id(tensor)]}`"
                raise _unfit(node, problem, "let the function make a new module at each call")
        owners.update((id(tensor), node) for _, tensor in state)


def _require_tensors(node: str, network: nn.Module) -> None:
    """Raise NodeError where the state of a network has more than tensors: it could not be saved."""
    for name, value in network.state_dict().items():
        if not isinstance(value, Tensor):
            problem = f"has a {type(value).__name__} in its state dict, `{name}`"
            raise _unfit(node, problem, "only tensors are saved with a run: keep it elsewhere")


@contextmanager
def _kept(network: nn.Module) -> Iterator[None]:
    """Restore modes, buffers and what has gradients after the block."""
    modes = {module: module.training for module in network.modules()}
    buffers = [
        (module, name, buffer, None if is_lazy(buffer) else buffer.clone())
        for module in network.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    learned = {each: each.requires_grad for each in network.parameters()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for module, name, buffer, content in buffers:
            if content is not None:
                with torch.no_grad():
                    buffer.copy_(content)
                setattr(module, name, buffer)
        for each, learns in learned.items():
            each.requires_grad_(learns)


@contextmanager
def _explained(node: str, problem: str, help: str) -> Iterator[None]:
    """Raise NodeError for whatever the user's code raises, but for a lack of memory."""
    try:
        with reporting_nondeterministic_operators():
            yield
    except RunError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _unfit(node, f"{problem}: {describe_with_place(error)}", help) from error


def _copied(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (inputs[0].clone(), *inputs[1:])


def _unfit(node: str, problem: str, help: str | None = _FORM) -> NodeError:
    message = f"the network of node `{node}` {problem}"
    return NodeError(node, Diagnostic("E505", message, help=help))
