"""Networks of torchvision and timm by name, made to fit the classes and channels of the data."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ktgdsl.backend.normalization import normalize_inputs
from ktgdsl.backend.user_code import UnusableError
from ktgdsl.extras import EXTRAS, how_to_install
from ktgdsl.vocabulary.spelling import closest

AUXILIARY = frozenset({"googlenet", "inception_v3"})
"""Networks of torchvision that give more than logits while they train."""


def torchvision_network(
    name: str, weights: str | None, channels: int, classes: int, *, frozen: bool = False
) -> nn.Module:
    """Make a classification network of torchvision (`torchvision.models.get_model`).

    With `weights` ("DEFAULT", "IMAGENET1K_V1") every tensor that fits is the library's, which
    leaves out the classifier where the classes differ, and images in [0, 1] are normalised as for
    its training. An image of one channel gives what it would in all three.

    Raises:
        UnusableError: when there is no such network or no such weights, it gives more than
            logits, the images have neither one channel nor three, or the classifier of a
            `frozen` network would be new.
    """
    models: Any = _library("torchvision.models", "torchvision")
    _require_known(name, models.list_models(module=models), "torchvision")
    if name in AUXILIARY:
        raise UnusableError(
            "gives more than logits while it trains",
            "write `python(...)` around it, with one tensor (B, classes) as the result",
        )
    if channels not in (1, 3):
        raise UnusableError(
            f"takes images of 1 or 3 channels, and those of the data have {channels}",
            "write `python(...)` around it, with a first convolution that fits",
        )
    network: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    if weights is not None:
        chosen = _weights_of(models.get_model_weights(name).__members__, weights)
        trained_classes = _load_matching(network, chosen)
        if frozen:
            _require_head(trained_classes, classes)
        preset = chosen.transforms()
        normalize_inputs(network, preset.mean, preset.std)
    elif channels == 1:
        _sum_input_channels(network)
    return network


def timm_network(
    name: str,
    pretrained: bool,
    channels: int,
    classes: int,
    *,
    frozen: bool = False,
    **arguments: object,
) -> nn.Module:
    """Make a network of timm (`timm.create_model`), which fits it to classes and channels.

    With `pretrained` images in [0, 1] are normalised as for its training, and one of one channel
    gives what it would in all three. Further `arguments` go to timm.

    Raises:
        UnusableError: when timm is not installed, or has no such network, or the classifier of a
            `frozen` network would be new.
    """
    timm: Any = _library("timm", "timm")
    # What follows a dot is the name of weights, and only some have any.
    _require_known(name.partition(".")[0], timm.list_models(), "timm")
    seen = 3 if pretrained and channels == 1 else channels
    network: Any = timm.create_model(
        name, pretrained=pretrained, num_classes=classes, in_chans=seen, **arguments
    )
    if pretrained:
        facts = network.pretrained_cfg
        if frozen:
            _require_head(facts["num_classes"], classes)
        if seen == len(facts["mean"]):
            normalize_inputs(network, facts["mean"], facts["std"])
    made: nn.Module = network
    return made


def _require_head(trained: int, classes: int) -> None:
    """Raise UnusableError where weights for so many classes leave a frozen classifier new."""
    if trained != classes:
        raise UnusableError(
            f"has weights for {trained:,} classes, and the data have {classes:,}: its classifier "
            "would be new, and frozen as it is",
            "train it on these data in a run of its own, with `edge label` into it, and name the "
            'file of that run: `weights = "runs/teacher/nodes/t.safetensors"`',
        )


def _library(module: str, package: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        help = how_to_install(package) if package in EXTRAS else f"pip install {package}"
        raise UnusableError(f"cannot be made: {error}", help) from error


def _require_known(name: str, known: Iterable[str], library: str) -> None:
    names = list(known)
    if name not in names:
        guess = closest(name, names)
        fix = f"did you mean `{guess}`?" if guess else f"{library}'s `list_models()` has the names"
        raise UnusableError(f"is none of those that {library} has for classification", fix)


def _weights_of(known: Mapping[str, Any], weights: str) -> Any:
    """The weights of a network by their name, such as "DEFAULT"."""
    name = weights.rpartition(".")[2]
    if name not in known:
        names = ", ".join(f'"{each}"' for each in known) or "none at all"
        raise UnusableError(f'has no weights "{weights}"', f"there are {names}")
    return known[name]


def _load_matching(network: nn.Module, weights: Any) -> int:
    """Load the tensors of weights wherever the shapes agree; the number of their classes."""
    given: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    own = network.state_dict()
    fitting = {at: each for at, each in given.items() if at in own and each.shape == own[at].shape}
    network.load_state_dict(own | fitting)
    others = [len(given[at]) for at in own if at in given and at not in fitting]
    return others[-1] if others else len(own[next(reversed(own))])


@torch.no_grad()
def _sum_input_channels(network: nn.Module) -> None:
    """Give the first convolution one input, with the sum of its weights over the three."""
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.weight = nn.Parameter(first.weight.sum(1, keepdim=True))
    first.in_channels = 1
