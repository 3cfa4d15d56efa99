"""Taps: reads the outputs of modules inside of a network, besides its logits or instead of them."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import TapError
from ktgdsl.plan.model import LOGITS
from ktgdsl.vocabulary.call import BEFORE_RELU
from ktgdsl.vocabulary.networks import STAGES


class UnknownTapError(ValueError):
    """A network has no such tap; `tap` is its name, and the message says so of a network."""

    def __init__(self, tap: str, why: str | None = None) -> None:
        super().__init__(why or f"there is no `{tap}`")
        self.tap = tap


class Place(NamedTuple):
    """Where a tap is: the output of a module, or its input.

    `stage` is the last stage that has to be computed, of a network of stages. `reused` tells
    whether what is read there may be overwritten later in the forward.
    """

    module: str
    input: bool = False
    stage: str = LOGITS
    reused: bool = True


class Outputs(nn.Module):
    """Calls a network and gives its outputs at taps, (B, ...) each, by the names of the taps.

    A network of stages is computed up to the last of them. Of a module that is called several
    times in a forward it is the last call that counts. Hooks are registered here, once; they do
    nothing in calls of the network itself.

    Args:
        network: of a node.
        places: where taps are, but for those that the network gives itself.
        taps: all of them.
        heads: the taps that are keys of a dict which the network gives.
        until: the stage after which none is computed; None for all, or where there are no stages.
    """

    def __init__(
        self,
        network: nn.Module,
        places: Mapping[str, Place],
        taps: tuple[str, ...],
        heads: tuple[str, ...] = (),
        until: str | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.places = places
        self.taps = taps
        self.heads = heads
        self.until = until
        self._outputs: dict[str, Tensor] | None = None
        for tap, place in places.items():
            module = network.get_submodule(place.module)
            keep = partial(self._keep, tap, place)
            if place.input:
                module.register_forward_pre_hook(lambda _, inputs, keep=keep: keep(inputs[0]))
            else:
                module.register_forward_hook(lambda _, inputs, output, keep=keep: keep(output))

    def _keep(self, tap: str, place: Place, value: Any) -> None:
        if self._outputs is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"the module `{tap}` gives a {type(value).__name__}, not a tensor")
            self._outputs[tap] = value.clone() if place.reused else value

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return what the network computes at its taps for images (B, channels, H, W).

        Raises:
            TypeError: when that is no tensor.
            RuntimeError: when a module was not called.
        """
        self._outputs = outputs = {}
        try:
            last = self.network(image, **({"until": self.until} if self.until else {}))
        finally:
            self._outputs = None
        if LOGITS in self.taps:
            outputs[LOGITS] = last
        outputs |= {head: last[head] for head in self.heads}
        idle = [tap for tap in self.taps if tap not in outputs]
        if idle:
            raise RuntimeError(f"the module `{idle[0]}` is not called in its forward")
        # Of a network on a device of its own the logits come from there, and so does the rest.
        first = last[self.heads[0]] if self.heads else last
        where = first.device if isinstance(first, Tensor) else image.device
        return {tap: outputs[tap].to(where) for tap in self.taps}


class Tapped(Outputs):
    """The outputs of a network at taps by name. One with several `heads` gives a dict of logits,
    where taps of these names are.

    Raises:
        UnknownTapError: when the network has no such module.
    """

    def __init__(
        self, network: nn.Module, taps: tuple[str, ...], heads: tuple[str, ...] = ()
    ) -> None:
        heads = heads if len(heads) > 1 else ()  # of one head the logits are those
        answers = (LOGITS, *heads)
        places = {tap: place_of(network, tap) for tap in taps if tap not in answers}
        until = None
        if isinstance(network, StagedNetwork) and LOGITS not in taps:
            until = STAGES[max(STAGES.index(place.stage) for place in places.values())]
        super().__init__(
            network, places, taps, tuple(each for each in taps if each in heads), until
        )


def tapped(
    node: str, network: nn.Module, taps: tuple[str, ...], heads: tuple[str, ...] = ()
) -> Tapped:
    """The network of a node with its taps. Raises TapError when it has no such module."""
    try:
        return Tapped(network, taps, heads)
    except UnknownTapError as error:
        message = f"{error} inside of the network of node `{node}`"
        help = "modules have the names that `network.named_modules()` says"
        raise TapError(node, error.tap, Diagnostic("E505", message, help=help)) from None


def place_of(network: nn.Module, tap: str) -> Place:
    """Where a tap is. Raises UnknownTapError when the network has no such place."""
    if isinstance(network, StagedNetwork):
        if tap in STAGES:
            return Place(tap, stage=tap, reused=False)
        before = tap.removesuffix(BEFORE_RELU)
        if before != tap and before in network.before_relu:
            return Place(*network.before_relu[before])
    stage = tap.partition(".")[0]
    stage = stage if stage in STAGES else LOGITS
    if _has(network, tap):
        return Place(tap, stage=stage)
    path = tap.removesuffix(BEFORE_RELU)
    if path == tap or not _has(network, path):
        raise UnknownTapError(tap)
    return Place(_last_relu(network, path, tap), input=True, stage=stage)


def _has(network: nn.Module, path: str) -> bool:
    try:
        network.get_submodule(path)
    except AttributeError:
        return False
    return path != ""


def _last_relu(network: nn.Module, path: str, tap: str) -> str:
    """The path of the last ReLU of a module, itself if it is one."""
    relus = {
        name: each
        for name, each in network.named_modules(remove_duplicate=False)
        if isinstance(each, nn.ReLU | nn.ReLU6)
    }
    inside = [name for name in relus if f"{name}.".startswith(f"{path}.")]
    if not inside:
        raise UnknownTapError(tap, f"there is no ReLU in `{path}`, so no `{tap}`,")
    last: str = inside[-1]
    if sum(each is relus[last] for each in relus.values()) > 1:
        # A hook cannot tell its calls apart.
        raise UnknownTapError(tap, f"`{last}` is a ReLU elsewhere as well, so there is no `{tap}`")
    return last
