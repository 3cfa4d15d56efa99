"""Optimisers over all nodes of a graph, and the learning rate of each step."""

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from ktgdsl.plan.model import Call, Node

_Kind = TypeVar("_Kind", bound=Optimizer)
_FUSED = frozenset({"cpu", "cuda"})
"""The kinds of device on which torch's fused optimisers are known to work."""


def make_optimizers(
    nodes: Iterable[Node],
    networks: Mapping[str, nn.Module],
    device: torch.device,
    captured: bool = False,
) -> dict[str, Optimizer]:
    """One optimiser for all nodes of a kind (`sgd`, `adamw`), with one parameter group a node.

    A group has the name of its node under `node`. An update touches one element at a time,
    so a node is trained as it would be by an optimiser of its own, to the bit. One that is to be
    `captured` reads its learning rates from the device.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for node in nodes:
        parameters = list(networks[node.name].parameters())
        given = node.optimizer.arguments
        group: dict[str, Any] = {"params": parameters, "node": node.name, **given}
        if captured:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32, device=device)
        groups.setdefault(node.optimizer.name, []).append(group)
    return {kind: _KINDS[kind](given, device) for kind, given in groups.items()}


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Give a parameter group its learning rate, in the same place if it is on the device."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def load_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Let it go on from the state of another, which may have been captured or not."""
    own = [(group["lr"], group.get("capturable")) for group in optimizer.param_groups]
    optimizer.load_state_dict(dict(state))
    for group, (rate, capturable) in zip(optimizer.param_groups, own, strict=True):
        group["lr"] = rate
        if capturable is not None:
            group["capturable"] = capturable


def _unmarked(kind: type[_Kind]) -> type[_Kind]:
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


_SGD, _AdamW = _unmarked(SGD), _unmarked(AdamW)


def _sgd(groups: list[dict[str, Any]], device: torch.device) -> Optimizer:
    optimizer = _SGD(groups, fused=_fused(device), foreach=not _fused(device))
    # torch would create a momentum with the first gradient, and its fused form fails when
    # some parameter gets its first one later than others. From zero the values are the same.
    for group in optimizer.param_groups:
        if group["momentum"] != 0:
            for parameter in group["params"]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _adamw(groups: list[dict[str, Any]], device: torch.device) -> Optimizer:
    for group in groups:
        group["betas"] = tuple(group["betas"])
        group["capturable"] = isinstance(group["lr"], Tensor)
    return _AdamW(groups, fused=_fused(device), foreach=not _fused(device))


_KINDS = {"sgd": _sgd, "adamw": _adamw}


@contextmanager
def skipping(optimizer: Optimizer, losses: Mapping[str, Tensor]) -> Iterator[None]:
    """Let a step in here pass over the nodes whose loss is exactly 0, on the device alone.

    Such a node keeps its weights and its whole state: no decay, no momentum (as in the code of
    Minami et al.; the paper says nothing). Nothing waits to learn which nodes they are.

    Args:
        optimizer: one of `make_optimizers`.
        losses: scalar of each node, by name. The parameters of all others have no gradient.
    """
    stepping = [
        (parameter, group["node"])
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    before = [
        {name: each.clone() for name, each in _trained(optimizer, parameter).items()}
        for parameter, _ in stepping
    ]
    yield
    skipped = {name: loss.detach() == 0 for name, loss in losses.items()}
    with torch.no_grad():
        for (parameter, node), kept in zip(stepping, before, strict=True):
            for name, now in _trained(optimizer, parameter).items():
                # What the first step has made begins at zero.
                then = kept[name] if name in kept else torch.zeros_like(now)
                now.copy_(torch.where(skipped[node], then, now))


def _trained(optimizer: Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """A parameter and what the optimiser keeps of it."""
    state = optimizer.state.get(parameter, {})
    return {"": parameter, **{k: v for k, v in state.items() if isinstance(v, Tensor)}}


def _fused(device: torch.device) -> bool:
    return device.type in _FUSED


def learning_rate(schedule: Call, base: float, k: int, steps_per_epoch: int, steps: int) -> float:
    """The learning rate of step k, counted from 1, of `steps`.

    A drop after n epochs, or after a share of the steps, is first seen by the step after
    them; where that is, is computed exactly. In the w steps of a warm-up the schedule's
    rate is multiplied by k / w; the schedule's own clock runs from step 1 all the same.

    Sources of `cosine` and the warm-up: Loshchilov and Hutter, ICLR 2017, Eq. 5, without
    restarts; Goyal et al., 2017, Sec. 2.2, from step 1.
    """

    def length(moment: Any) -> Fraction:
        if isinstance(moment, dict):
            return Fraction(str(moment["percent"])) * steps / 100
        return Fraction(str(moment)) * steps_per_epoch

    arguments: dict[str, Any] = schedule.arguments
    taken = k - 1
    match schedule.name:
        case "step":
            factor = arguments["gamma"] ** (taken // length(arguments["every"]))
        case "multistep":
            factor = arguments["gamma"] ** sum(taken >= length(at) for at in arguments["at"])
        case "cosine":
            fall = (1 + math.cos(math.pi * taken / steps)) / 2
            factor = arguments["minimum"] + (1 - arguments["minimum"]) * fall
        case _:
            factor = 1.0
    warmup = length(arguments["warmup"])
    return float(base * factor * (k / warmup if k < warmup else 1))
