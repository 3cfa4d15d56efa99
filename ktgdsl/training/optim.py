"""Optimisers over all nodes of a graph."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from ktgdsl.backend.trunks import own_parameters
from ktgdsl.program.model import Learner
from ktgdsl.training.state_checks import OF_THE_DEVICE, require_groups_like, require_moments

_Kind = TypeVar("_Kind", bound=Optimizer)
FUSED = frozenset({"cpu", "cuda"})
"""The types of device on which torch's fused optimisers are known to work."""


def make_optimizers(
    learners: Iterable[Learner],
    networks: Mapping[str, nn.Module],
    device: torch.device,
    captured: bool = False,
    parts: Mapping[str, nn.Module] | None = None,
) -> dict[str, Optimizer]:
    """One optimiser for all learners that name the same one, with a parameter group for each.

    An update treats each element by itself, so a learner is trained as it would be by an
    optimiser of its own, to the bit.

    Args:
        learners: of a phase.
        networks: by node, on the device.
        device: where.
        captured: whether steps are captured as a CUDA graph; learning rates are tensors on the
            device then.
        parts: connectors, which learn with their nodes, and mixers, by the names of their modules.

    Returns:
        The optimisers by their words. A group has the name of its node under `node`.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    learners = list(learners)
    parameters = learned_parameters(learners, networks, parts or {})
    for learner in learners:
        arguments = learner.optimizer.arguments
        group: dict[str, Any] = {
            "params": parameters[learner.name],
            "node": learner.name,
            **arguments,
        }
        if captured:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32, device=device)
        groups.setdefault(learner.optimizer.name, []).append(group)
    return {word: OPTIMIZERS[word](params, device) for word, params in groups.items()}


def learned_parameters(
    learners: Iterable[Learner],
    networks: Mapping[str, nn.Module],
    parts: Mapping[str, nn.Module],
) -> dict[str, list[nn.Parameter]]:
    """The parameters of each learner, those of a node's connectors after its network's."""
    learners = list(learners)
    own = own_parameters(learners, networks)
    for learner in learners:
        further = [parts[name] for name in learner.modules if name in parts]
        found = own.setdefault(learner.name, [])
        found += [each for module in further for each in module.parameters()]
    return own


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set the learning rate of a parameter group, in place if it is a tensor."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def load_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load the state of another optimiser, whether its steps were captured or not.

    Raises ValueError where its settings or shapes are others.
    """
    own = [
        {key: group[key] for key in OF_THE_DEVICE & group.keys()}
        for group in optimizer.param_groups
    ]
    require_groups_like(state["param_groups"], optimizer.param_groups)
    optimizer.load_state_dict(dict(state))
    require_moments(optimizer)
    for group, values in zip(optimizer.param_groups, own, strict=True):
        group.update(values)


def _without_compiler_marks(kind: type[_Kind]) -> type[_Kind]:
    """The same optimiser, with methods that are not marked for torch's compiler.

    The first call of a marked one imports the compiler, nearly as large as torch itself.
    """
    update = inspect.unwrap(kind.step)

    def step(self: Optimizer) -> None:
        with torch.no_grad():
            update(self)

    marked = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in marked}
    return type(kind.__name__, (kind,), {"step": step, **methods})


_SGD, _Adam = _without_compiler_marks(SGD), _without_compiler_marks(Adam)
_AdamW = _without_compiler_marks(AdamW)


def _sgd(groups: list[dict[str, Any]], device: torch.device) -> Optimizer:
    optimizer = _SGD(groups, fused=_fused(device), foreach=not _fused(device))
    # torch would create a momentum with the first gradient, and its fused form fails when
    # some parameter gets its first one later than others. From zero the values are the same.
    for group in optimizer.param_groups:
        if group["momentum"] != 0:
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _adam(kind: type[Adam], groups: list[dict[str, Any]], device: torch.device) -> Optimizer:
    for group in groups:
        group["betas"] = tuple(group["betas"])
        group["capturable"] = isinstance(group["lr"], Tensor)
    return kind(groups, fused=_fused(device), foreach=not _fused(device))


OPTIMIZERS: Mapping[str, Callable[[list[dict[str, Any]], torch.device], Optimizer]] = {
    "sgd": _sgd,
    "adam": partial(_adam, _Adam),
    "adamw": partial(_adam, _AdamW),
}
"""The function that makes an optimiser of parameter groups, by its word in the vocabulary."""


@contextmanager
def skipping(optimizer: Optimizer, losses: Mapping[str, Tensor]) -> Iterator[None]:
    """Let a step of the optimiser in the block skip the nodes whose loss is exactly 0.

    Such a node keeps its weights and its whole state: no decay, no momentum (as in the code of
    Minami et al.; the paper does not mention it). Nothing waits for the device.

    Args:
        optimizer: one of `make_optimizers`.
        losses: scalar of each learner, by name. The parameters of all others have no gradient.
    """
    updated = [
        (parameter, group["node"])
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    before = [
        {name: each.clone() for name, each in _tensors_of(optimizer, parameter).items()}
        for parameter, _ in updated
    ]
    yield
    skipped = {name: loss.detach() == 0 for name, loss in losses.items()}
    with torch.no_grad():
        for (parameter, node), saved in zip(updated, before, strict=True):
            for name, current in _tensors_of(optimizer, parameter).items():
                # What the first step has created counts as zero before it.
                old = saved[name] if name in saved else torch.zeros_like(current)
                current.copy_(torch.where(skipped[node], old, current))


def _tensors_of(optimizer: Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """A parameter and the tensors of its optimiser state."""
    state = optimizer.state.get(parameter, {})
    return {"": parameter, **{k: v for k, v in state.items() if isinstance(v, Tensor)}}


def _fused(device: torch.device) -> bool:
    return device.type in FUSED
