"""Shared layers: one module in several networks, and calls of parts of a network."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.networks import StagedNetwork
from ktgdsl.backend.normalization import adopt_normalization, input_normalization
from ktgdsl.diagnostics.diagnostic import Diagnostic
from ktgdsl.errors import NodeError
from ktgdsl.program.model import Learner, Trunk
from ktgdsl.vocabulary.networks import STAGES


class Stages(StagedNetwork):
    """Some stages of a network, in order, which are the network's own modules."""

    def __init__(self, network: nn.Module, stages: Sequence[str]) -> None:
        super().__init__()
        self.stages = tuple(stages)
        for name in stages:
            self.add_module(name, network.get_submodule(name))


class Part(Stages):
    """Stages of a network, to which they refer; those from the input on normalise as it does."""

    def __init__(self, network: StagedNetwork, stages: Sequence[str]) -> None:
        super().__init__(network, stages)
        # In a tuple, since a submodule would add all of its parameters.
        self._whole = (network,)
        if stages and stages[0] == STAGES[0]:
            adopt_normalization(self, input_normalization(network))

    @property
    def whole(self) -> StagedNetwork:
        """The network that it is a part of."""
        return self._whole[0]

    @property
    def before_relu(self) -> dict[str, tuple[str, bool, str]]:
        """The places before ReLUs of the whole network."""
        return self.whole.before_relu


def share_layers(trunks: Iterable[Trunk], networks: Mapping[str, nn.Module]) -> None:
    """Give all sharers the layers of the first: one module, also in what they normalise.

    Raises NodeError where a network has no such layers, as one that is not ours may.
    """
    for trunk in trunks:
        first, *others = trunk.nodes
        layers = [_layer(first, networks[first], layer, trunk.called) for layer in trunk.layers]
        for name in others:
            for path, layer in zip(trunk.layers, layers, strict=True):
                own = _layer(name, networks[name], path, trunk.called)
                if _shapes(own) != _shapes(layer):
                    problem = f"has another `{path}` than that of `{first}`, which it is to share"
                    raise _unfit(name, problem, "equal networks can share their layers")
                networks[name].set_submodule(path, layer)
            adopt_normalization(networks[name], input_normalization(networks[first]))


def require_equal(trunks: Iterable[Trunk], networks: Mapping[str, nn.Module]) -> None:
    """Raise NodeError where sharers that do not learn come with other weights in their layers."""
    for trunk in trunks:
        first, *others = trunk.nodes
        for path in trunk.layers:
            layer = _layer(first, networks[first], path, trunk.called).state_dict()
            for name in others:
                own = _layer(name, networks[name], path, trunk.called).state_dict()
                if own.keys() != layer.keys() or not all(
                    torch.equal(value, own[key]) for key, value in layer.items()
                ):
                    problem = (
                        f"has other weights in `{path}` than `{first}`, which it shares it with"
                    )
                    help = "take the weights of all sharers from one run, or of none of them"
                    raise _unfit(name, problem, help)


def _layer(node: str, network: nn.Module, path: str, staged: bool) -> nn.Module:
    if staged and not isinstance(network, StagedNetwork):
        problem = "has no stages, and it shares some with another node"
        raise _unfit(node, problem, "leave it out of `networks`, or the `share` out of the spec")
    try:
        return network.get_submodule(path)
    except AttributeError:
        help = "modules have the names that `network.named_modules()` says"
        raise _unfit(node, f"has no `{path}` inside of it to share", help) from None


def _shapes(layer: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in layer.state_dict().items()}


def _unfit(node: str, problem: str, help: str) -> NodeError:
    message = f"the network of node `{node}` {problem}"
    return NodeError(node, Diagnostic("E505", message, help=help))


class _Averaged:
    """A hook of a parameter, which multiplies its gradient."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, gradient: Tensor) -> Tensor:
        return gradient * self.factor


def average_gradients(trunks: Iterable[Trunk], networks: Mapping[str, nn.Module]) -> None:
    """Divide gradients by the number of sharers in trunks that are not called by themselves.

    Of others the training graph does, where their output is read.
    """
    for trunk in trunks:
        known = any(name in networks for name in trunk.nodes)
        if known and not trunk.called and trunk.grad == "mean":
            for parameter in trunk_module(trunk, networks).parameters():
                hooks = (parameter._backward_hooks or {}).values()
                # Networks of the user's may have come here before.
                earlier = next((each for each in hooks if isinstance(each, _Averaged)), None)
                if earlier is not None:
                    earlier.factor = trunk.backward(1)
                elif parameter.requires_grad:
                    averaged = _Averaged(trunk.backward(1))
                    parameter.register_hook(averaged)  # type: ignore[no-untyped-call]


def trunk_module(trunk: Trunk, networks: Mapping[str, nn.Module]) -> nn.ModuleList:
    """The layers of a trunk, of networks that share them."""
    network = next(networks[name] for name in trunk.nodes if name in networks)
    return nn.ModuleList(network.get_submodule(layer) for layer in trunk.layers)


def own_parameters(
    learners: Iterable[Learner], networks: Mapping[str, nn.Module]
) -> dict[str, list[nn.Parameter]]:
    """The parameters that each learner trains: each parameter is in one list.

    Those of a trunk, and those of a node's network that are in no trunk; of an ensemble none.
    """
    taken: set[int] = set()
    found: dict[str, list[nn.Parameter]] = {}
    for each in sorted(learners, key=lambda each: each.trunk is None):
        if each.trunk is not None or each.name in networks:
            module = trunk_module(each.trunk, networks) if each.trunk else networks[each.name]
            found[each.name] = [p for p in module.parameters() if id(p) not in taken]
            taken.update(map(id, found[each.name]))
    return found


class _ScaledGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


def scale_gradient(value: Tensor, factor: float) -> Tensor:
    """Return the value, which passes its gradient on times `factor`."""
    scaled: Tensor = _ScaledGradient.apply(value, factor)
    return scaled


def logits_of(networks: Sequence[nn.Module], image: Tensor) -> list[Any]:
    """The logits (B, classes, ...) of each network; stages that several have are computed once.

    Of one with several heads they are by head. Images are (B, channels, H, W).
    """
    chains = Counter(chain for network in networks for chain in _chains(network))
    computed: dict[_Chain, Tensor] = {}
    found = []
    for network in networks:
        shared = [chain for chain in _chains(network) if chains[chain] > 1]
        found.append(_go_on(network, image, shared, computed) if shared else network(image))
    return found


_Chain = tuple[nn.Module, ...]
"""The stages from the input on up to one."""


def _chains(network: nn.Module) -> Iterator[_Chain]:
    if isinstance(network, StagedNetwork):
        stages = [getattr(network, name) for name in network.stages]
        yield from (tuple(stages[:end]) for end in range(1, len(stages) + 1))


def _go_on(
    network: nn.Module, image: Tensor, shared: list[_Chain], computed: dict[_Chain, Tensor]
) -> Tensor:
    """The logits of a network, from what is computed already of its shared stages."""
    normalization = input_normalization(network)
    x: Tensor = image if normalization is None else normalization(network, (image,))[0]
    for chain in shared:
        if chain not in computed:
            computed[chain] = chain[-1](x)
        x = computed[chain]
    for chain in list(_chains(network))[len(shared) :]:
        x = chain[-1](x)
    return x
