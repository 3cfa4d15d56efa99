"""Followers: networks whose weights are a moving average, or a stale copy, of another's."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ktgdsl.backend.factories import seed_dropouts
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import NodeError, describe
from ktgdsl.program.model import Follower


class _Tensors(NamedTuple):
    """Tensors of a follower, and those of the network that it follows."""

    own: list[Tensor]
    followed: list[Tensor]

    @classmethod
    def of(cls, pairs: Iterable[tuple[Tensor, Tensor]]) -> "_Tensors":
        pairs = [*pairs]
        return cls([own for own, _ in pairs], [followed for _, followed in pairs])

    def average(self, weight: float) -> None:
        """Move the own ones by a share of the way, in as few launches as there can be."""
        if self.own:
            torch._foreach_lerp_(self.own, self.followed, weight)

    def copy(self) -> None:
        """Make the own ones equal."""
        if self.own:
            torch._foreach_copy_(self.own, self.followed)


class Ema:
    """θ' = d θ' + (1 - d) θ after each step, where d is `decay` unless a warm-up says less.

    Source: Tarvainen and Valpola, Mean Teachers, NeurIPS 2017, and the warm-up of its code.

    Args:
        follower: has the averages θ'.
        followed: has θ.
        decay: in [0, 1).
        warmup: whether d is min(1 - 1 / (k + 1), decay) in step k.
        buffers: `own` ones are left as they are. `average` averages those of floating point, and
            copies counts.
    """

    def __init__(
        self,
        follower: nn.Module,
        followed: nn.Module,
        *,
        decay: float,
        warmup: bool,
        buffers: Literal["own", "copy", "average"],
    ) -> None:
        self._decay, self._warmup = decay, warmup
        moving = [*zip(follower.buffers(), followed.buffers(), strict=True)]
        averaged = [pair for pair in moving if pair[0].is_floating_point()]
        counts = [pair for pair in moving if not pair[0].is_floating_point()]
        weights = [*zip(follower.parameters(), followed.parameters(), strict=True)]
        self._averaged = _Tensors.of(weights + averaged * (buffers == "average"))
        self._copied = _Tensors.of({"own": [], "copy": moving, "average": counts}[buffers])

    @torch.no_grad()
    def __call__(self, k: int) -> None:
        """Bring the averages up to date after step k, counted from 1. Waits for no device."""
        decay = min(1 - 1 / (k + 1), self._decay) if self._warmup else self._decay
        self._averaged.average(1 - decay)
        self._copied.copy()


class StaleCopy:
    """θ' = θ after every `every` steps.

    Source: Anil et al., Large Scale Distributed Neural Network Training through Online
    Distillation, ICLR 2018.

    Args:
        follower: has the copies θ'.
        followed: has θ.
        every: steps from copy to copy.
        buffers: whether to `copy` them too, or leave the `own` ones.
    """

    def __init__(
        self,
        follower: nn.Module,
        followed: nn.Module,
        *,
        every: int,
        buffers: Literal["copy", "own"],
    ) -> None:
        self._every = every
        weights = zip(follower.parameters(), followed.parameters(), strict=True)
        moving = zip(follower.buffers(), followed.buffers(), strict=True)
        self._copied = _Tensors.of([*weights, *(moving if buffers == "copy" else ())])

    @torch.no_grad()
    def __call__(self, k: int) -> None:
        """Copy after step k, counted from 1, if it is one of those. Waits for no device."""
        if k % self._every == 0:
            self._copied.copy()


RULES: Mapping[str, Callable[..., Callable[[int], None]]] = {"ema": Ema, "copy": StaleCopy}
"""The class that updates a follower after step k of a phase, by the word of its rule."""


def following(
    followers: Iterable[Follower], networks: Mapping[str, nn.Module]
) -> list[Callable[[int], None]]:
    """The updates of followers, each to be called with k after step k; networks are by node."""
    return [
        RULES[each.rule.name](
            networks[each.name], networks[each.follows], **dict(each.rule.arguments)
        )
        for each in followers
    ]


def following_code(followers: Iterable[Follower]) -> str:
    """The Python of what is called after step k, on `networks` by node."""
    lines, rules = [], set()
    for each in followers:
        rule = RULES[each.rule.name]
        rules.add(rule.__name__)
        arguments = "".join(f", {name}={value!r}" for name, value in each.rule.arguments.items())
        pair = f"networks[{each.name!r}], networks[{each.follows!r}]"
        lines.append(f"{rule.__name__}({pair}{arguments})(k)")
    return "\n".join([f"from {__name__} import {', '.join(sorted(rules))}", "", *lines, ""])


def follower_network(name: str, follows: str, network: nn.Module, seed: int) -> nn.Module:
    """A copy of a node's network for the node that follows it, without gradients.

    Its dropout draws from a stream of its own. Raises NodeError where it cannot be copied (E505).
    """
    try:
        copy = deepcopy(network)
    except Exception as error:  # of a network of the user's
        message = f"the network of node `{follows}` cannot be copied for `{name}`: "
        help = "`copy.deepcopy(network)` has to work for a network that others follow"
        diagnostic = Diagnostic("E505", message + describe(error), help=help)
        raise NodeError(follows, diagnostic) from error
    seed_dropouts(copy, seed, name)
    return copy.requires_grad_(False)
